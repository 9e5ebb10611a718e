"""The faults of ``benchmarks/reliability.py`` in short: whatever breaks, nothing is left broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks/reliability.py"
LONGER = ("at-once", "publish")
SHORT = {
    "kill": ["--instants", "2", "--stride", "9", "--skills", "1"],
    "disk": ["--skills", "1", "--step", "16384"],
    "rights": ["--skills", "1"],
    "at-once": ["--instants", "1", "--skills", "6"],
    "held": ["--instants", "20", "--skills", "2"],
    "publish": ["--instants", "8", "--skills", "1"],
}


def broken(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)
    assert done.stdout.endswith("}\n"), done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])["broken"], done.stdout


@pytest.mark.attack(65, 66, 68, 69)
@pytest.mark.parametrize(
    "fault", ["kill", "disk", "rights", "held", *(pytest.param(name, marks=pytest.mark.slow) for name in LONGER)]
)
def test_a_fault_leaves_nothing_broken(fault: str) -> None:
    count, said = broken("--only", fault, *SHORT[fault])
    assert count == 0, said


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_fault_leaves_anything_broken() -> None:
    """All of it: two hundred random instants of each command, every step, every size of disk."""
    count, said = broken()
    assert count == 0, said

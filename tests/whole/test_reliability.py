"""The faults of ``benchmarks/reliability.py`` in short: whatever breaks, nothing is left broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks/reliability.py"
SHORT = ["kill", "disk", "rights", "held", "--instants", "2", "--stride", "9", "--skills", "1", "--step", "16384"]
LONGER = {
    "at-once": ["at-once", "--instants", "1", "--skills", "6"],
    "held": ["held", "--instants", "20", "--skills", "2"],
    "publish": ["publish", "--instants", "8", "--skills", "1"],
}


def broken(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)
    assert done.stdout.endswith("}\n"), done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])["broken"], done.stdout


@pytest.mark.attack(65, 66, 68, 69)
def test_a_fault_leaves_nothing_broken() -> None:
    """Kills at some steps, disks of some sizes, missing rights and killed holders of locks, in one process."""
    count, said = broken("--only", *SHORT)
    assert count == 0 and said.count("\n") > 10, said


@pytest.mark.slow
@pytest.mark.parametrize("fault", LONGER)
def test_many_at_once_leave_nothing_broken(fault: str) -> None:
    count, said = broken("--only", *LONGER[fault])
    assert count == 0, said


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_fault_leaves_anything_broken() -> None:
    """All of it: two hundred random instants of each command, every step, every size of disk."""
    count, said = broken()
    assert count == 0, said

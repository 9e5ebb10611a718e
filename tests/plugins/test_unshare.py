"""plugins/skillpm-unshare: a worker in namespaces of its own for network, processes and IPC."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project
from tests.plugins.test_changelog import install, run
from tests.shop import MakeProject, skill_files

VERIFIER = """
import os
from skillpm.plugin import Verdict


def verify(attempts, contract):
    spaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid", "ipc", "uts")]
    said = f"process {os.getpid()} in {' '.join(spaces)}"
    return [Verdict(status="failed", score=0.0, reasons=(said,)) for _ in attempts]
"""
WORDS = ("score", "./demo", "demo/rows.jsonl", "--yes", "--sandbox", "plugin:unshare")


@pytest.fixture
def world(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.syspath_prepend(str(ROOT / "plugins/skillpm-unshare"))
    import skillpm_unshare

    if not skillpm_unshare.probe():
        pytest.skip("this machine lets nobody make namespaces")
    rows = '{"expected": {}, "completion": "x"}\n'
    world = project({"demo": {**skill_files(), "verifier.py": VERIFIER, "rows.jsonl": rows}})
    install(ROOT / "plugins" / "skillpm-unshare", world.root / "site")
    return world


def test_a_worker_is_the_first_process_of_its_own_namespaces(world: Project) -> None:
    said = run(world, *WORDS).ok().out
    assert "process 1 in " in said
    inside = dict(re.findall(r"(net|pid|ipc|uts):\[(\d+)\]", said))
    outside = {kind: Path(f"/proc/self/ns/{kind}").readlink().name.strip("]").rpartition("[")[2] for kind in inside}
    assert len(inside) == 4 and not inside.items() & outside.items()


def test_the_level_unshare_is_not_called_strong(world: Project) -> None:
    world.write({"skillpm.yaml": "project: 1\npolicy: {sandbox: require}\n"})
    run(world, *WORDS).fails(6, "requires a strong sandbox", "plugin:unshare")

"""Hints about the distribution say what works: in a checkout its folder, elsewhere the name on the index."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skillpm.settings.distribution import as_installed
from tests.conftest import ROOT
from tests.shop import MakeProject

HINTS = ["upgrade skillpm-core", "pip install 'skillpm-core[serve]'", "run `skillpm lock`"]


def test_in_a_checkout_hints_name_its_folder() -> None:
    upgrade, extra, other = map(as_installed, HINTS)
    assert upgrade == f"upgrade skillpm-core: run `git -C {ROOT} pull`, then `pip install {ROOT}`"
    assert extra == f"pip install '{ROOT}[serve]'"
    assert other == HINTS[2]


@pytest.mark.parametrize("origin", [None, "file:///nowhere/at/all"])
def test_from_the_index_hints_name_the_distribution(tmp_path: Path, origin: str | None) -> None:
    shutil.copytree(ROOT / "skillpm/settings", tmp_path / "skillpm/settings")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "skillpm" / name, tmp_path / "skillpm")
    shutil.copytree(ROOT / "skillpm/formats", tmp_path / "skillpm/formats")
    shutil.copytree(ROOT / "skillpm/model", tmp_path / "skillpm/model")
    info = tmp_path / "skillpm_core-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: skillpm-core\nVersion: 0.1.0\n")
    if origin:
        (info / "direct_url.json").write_text(json.dumps({"url": origin, "dir_info": {}}))
    code = f"from skillpm.settings.distribution import as_installed\nfor text in {HINTS!r}: print(as_installed(text))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}
    )
    assert done.stdout.splitlines() == ["upgrade skillpm-core: run `pip install --upgrade skillpm-core`", *HINTS[1:]], (
        done.stderr
    )


def test_an_error_prints_the_hint_that_works_here(project: MakeProject) -> None:
    place = project({"skillpm.yaml": "project: 2\n"})
    assert f"hint: upgrade skillpm-core: run `git -C {ROOT} pull`" in place.call("list").fails(2).err

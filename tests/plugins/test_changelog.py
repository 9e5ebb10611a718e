"""plugins/skillpm-changelog, installed from its folder into a place of its own, without a network."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Project
from tests.shop import MakeProject, skill_files

FOLDER = ROOT / "plugins" / "skillpm-changelog"


def install(folder: Path, site: Path) -> None:
    """Put a distribution of one package into a folder: what an installer writes of it (PyPA, recorded projects)."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    package = project["name"].replace("-", "_")
    site.mkdir(exist_ok=True)
    shutil.copytree(folder / package, site / package)
    information = site / f"{package}-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"]
    text = "".join(f"[{group}]\n" + "".join(f"{n} = {m}\n" for n, m in groups[group].items()) for group in groups)
    (information / "entry_points.txt").write_text(text)


@pytest.fixture
def world(project: MakeProject) -> Project:
    """A project with a skill, and a folder ``site`` in which the plugin is installed."""
    made = project({"demo": {**skill_files(version="1.2"), "README.md": "# demo\n"}})
    install(FOLDER, made.root / "site")
    return made


def run(world: Project, *arguments: str, **environment: Any) -> Any:
    path = f"{world.root / 'site'}:{world.environment['PYTHONPATH']}"
    return world.call(*arguments, PYTHONPATH=path, **environment)


@pytest.mark.parametrize(
    ("changelog", "found"),
    [
        (None, "no CHANGELOG.md"),
        ("# Changes\n\n## 1.20\n\nMore than 1.2.\n", "no heading names version 1.2"),
        ("# Changes\n\n## [1.2] (2026-01-01)\n\nFirst.\n", None),
        ("# demo v1.2\n", None),
    ],
)
def test_the_version_must_stand_in_a_heading(world: Project, changelog: str | None, found: str | None) -> None:
    if changelog is not None:
        world.write({"demo/CHANGELOG.md": changelog})
    outcome = run(world, "validate", "demo", "--json")
    findings = {item["code"]: item["message"] for item in outcome.document["reports"][0]["findings"]}
    assert outcome.code == (1 if found else 0)
    assert (found in findings["CHANGELOG001"]) if found else "CHANGELOG001" not in findings


def test_the_plugin_is_listed_with_its_origin_and_may_be_left_out(world: Project) -> None:
    (listed,) = [item for item in run(world, "plugins", "--json").document["plugins"] if item["name"] == "changelog"]
    assert listed["source"] == "skillpm-changelog 0.1.0" and listed["hooks"] == ["skillpm_layout_rules"]
    assert listed["seconds"] > 0 and listed["failures"] == 0
    run(world, "validate", "demo", SKILLPM_LOAD_PLUGINS="another").ok()
    run(world, "validate", "demo", SKILLPM_LOAD_PLUGINS="skillpm_changelog").fails(1)


def test_a_call_of_its_hook_is_traced(world: Project) -> None:
    told = run(world, "validate", "demo", SKILLPM_TRACE_HOOKS="1").err
    assert re.search(
        r"hook: skillpm_layout_rules of changelog \(skillpm-changelog 0\.1\.0\): 1 record in [\d.]+ ms", told
    )


def test_the_plugin_s_entry_module_imports_nothing_heavy(world: Project) -> None:
    """A plugin is imported by every command that asks for hooks, so the module of its entry point must be light."""
    import subprocess
    import sys

    code = "import skillpm_changelog, sys; print('pydantic' in sys.modules, 'yaml' in sys.modules)"
    path = f"{world.root / 'site'}:{world.environment['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**world.environment, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "False"], done.stderr

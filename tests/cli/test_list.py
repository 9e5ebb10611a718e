"""Versions in tables."""

from __future__ import annotations

import shutil

import pytest

from tests.shop import MakeProject


@pytest.mark.parametrize("command", [("list",), ("search", "plain"), ("show", "plain"), ("tree",), ("why", "plain")])
def test_a_skill_without_a_version_is_not_shown_as_zero(project: MakeProject, command: tuple[str, ...]) -> None:
    place = project({"plain": {"SKILL.md": "---\nname: plain\ndescription: Plain. Use it.\n---\nText.\n"}})
    assert "plain  -  " in place.call("install", "./plain").ok().out
    first = [line for line in place.call(*command).ok().out.splitlines() if "plain" in line or "version" in line]
    assert first
    assert not any(" 0" in line for line in first)


@pytest.mark.parametrize("command", ["list", "outdated", "tree", "verify"])
def test_a_project_without_skills_is_told_what_installs_them(project: MakeProject, command: str) -> None:
    place = project()
    assert place.call(command).ok().err == "no skill is installed here; run `skillpm install NAME`\n"
    place.write({"skillpm.yaml": "project: 1\nrequires: {shell-tools: '*'}\n"})
    assert "run `skillpm sync` for what skillpm.yaml requires" in place.call(command).ok().err


def test_a_skill_of_a_clone_that_commits_its_folders_is_there_and_not_stored(project: MakeProject) -> None:
    """It is not missing: agents read it. Its store is another machine's."""
    place = project()
    place.call("install", "shell-tools").ok()
    clone = project()
    shutil.copytree(place.root / ".agents", clone.root / ".agents")
    shutil.copy(place.root / "skillpm.lock", clone.root)
    home = f"{clone.root}/home"
    listed = clone.call("list", SKILLPM_HOME=home).ok()
    assert "unstored" in listed.out and "Run a program" in listed.out and "`skillpm install`" in listed.err
    shutil.rmtree(clone.root / ".agents/skills/shell-tools")
    states = [skill["state"] for skill in clone.call("list", "--json", SKILLPM_HOME=home).ok().document["skills"]]
    assert states == ["missing"]
    mend = "run `skillpm install` to put "
    assert mend in clone.call("list", SKILLPM_HOME=home).ok().err
    assert mend in clone.call("verify", SKILLPM_HOME=home).fails(1).out
    clone.call("sync", SKILLPM_HOME=home).ok()
    assert "unstored" not in clone.call("list", SKILLPM_HOME=home).ok().out

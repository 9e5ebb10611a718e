"""A project is found from every folder below it, by every command; and nobody else decides where one is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.settings import load_settings
from tests.conftest import Project
from tests.shop import MakeProject, skill_files


@pytest.fixture
def place(project: MakeProject) -> Project:
    """A project with a folder two levels below, and a skill beside that folder."""
    requires = "requires: {incident-triage: '*'}\n"
    return project({"skillpm.yaml": f"project: 1\n{requires}", "src/deep/x": "", "src/mine": skill_files("mine")})


COMMANDS = [
    ["install"],
    ["lock"],
    ["sync"],
    ["update"],
    ["list"],
    ["tree"],
    ["why", "incident-triage"],
    ["outdated"],
    ["verify"],
    ["show", "incident-triage"],
    ["scan"],
    ["agents"],
]


def test_every_command_finds_it_from_below(place: Project) -> None:
    below = place.root / "src/deep"
    for command in COMMANDS:
        done = place.call(*command, cwd=below).ok()
        changes = command[0] in ("install", "lock", "sync", "update")
        assert (f"project: {place.root}" in done.err) is changes, done
    assert (place.root / UNIVERSAL / "incident-triage").is_dir()
    assert [path.name for path in below.iterdir()] == ["x"]
    place.call("uninstall", "incident-triage", cwd=below).ok()
    assert not (place.root / UNIVERSAL / "incident-triage").exists()


def test_a_path_that_is_typed_is_relative_to_where_it_is_typed(place: Project) -> None:
    place.call("install", "../mine", cwd=place.root / "src/deep").ok()
    assert "mine: {path: ./src/mine}" in (place.root / "skillpm.yaml").read_text()
    place.call("sync", "--locked").ok()


def test_config_says_where_it_is_and_how_it_was_found(place: Project) -> None:
    shown = place.call("config", "--json", cwd=place.root / "src").ok().document["settings"][0]
    assert shown["value"] == str(place.root)
    assert shown["origin"].startswith("above the working directory")


def test_a_lock_alone_makes_a_project_and_init_makes_a_new_one_where_it_is_called(place: Project) -> None:
    place.call("lock").ok()
    (place.root / "skillpm.yaml").unlink()
    assert place.call("list", "--json", cwd=place.root / "src").ok().document["skills"]
    place.call("init", cwd=place.root / "src").ok()
    assert (place.root / "src/skillpm.yaml").is_file()
    assert not place.call("list", "--json", cwd=place.root / "src/deep").ok().document["skills"]


def test_the_home_folder_is_the_project_of_nothing_below_it(place: Project, tmp_path: Path) -> None:
    place.call("install", "shell-tools", "--user").ok()
    below = tmp_path / "home/work"
    below.mkdir()
    assert not place.call("list", "--json", cwd=below).ok().document["skills"]
    place.call("sync", cwd=below).fails(2, "there is no skillpm.lock here")


@pytest.mark.skipif(os.name != "posix", reason="files have no such owner")
def test_a_project_file_that_somebody_else_has_put_above_is_not_looked_at(
    place: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    below, owner = place.root / "src", place.root.stat().st_uid
    monkeypatch.chdir(below)
    assert load_settings(environment={}).project == place.root
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    expected = place.root if owner == 0 else below  # what the administrator has put there is trusted
    assert load_settings(environment={}).project == expected

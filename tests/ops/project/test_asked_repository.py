"""``owner/repo`` is a skill where a registry knows it, and a repository else; neither shadows the other silently."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from skillpm.index.folder_registry import FolderRegistry, make_registry
from tests.conftest import Project, write_tree
from tests.index.signed_shop import release
from tests.servers import commit_all
from tests.shop import MakeProject, locked, skill_files


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    """A forge with acme/tool, of one skill, and acme/many, of two."""
    root = tmp_path / "forge"
    write_tree(root / "acme/tool", {"tool": {"SKILL.md": skill_files("tool")["SKILL.md"]}})
    for name in ("one", "two"):
        write_tree(root / "acme/many/skills", {name: {"SKILL.md": skill_files(name)["SKILL.md"]}})
    for name in ("tool", "many"):
        commit_all(root / "acme" / name)
    return root


@pytest.fixture
def place(project: MakeProject, forge: Path) -> Project:
    made = project()
    return Project(made.root, {**made.environment, "SKILLPM_FORGE": forge.as_uri()})


def team(tmp_path: Path, name: str) -> Path:
    """Make a registry that has one name of an owner."""
    root = tmp_path / "team"
    make_registry(root, "team")
    FolderRegistry(root, "team").add(f"acme/{name}", *release(name, "1.0")[1:])
    return root


def source(project: Project, name: str) -> str:
    lock = json.loads((project.root / "skillpm.lock").read_text())
    return next(str(entry["source"]) for entry in lock["skills"] if entry["name"] == name)


def test_without_a_registry_two_words_are_a_repository(place: Project) -> None:
    done = place.call("install", "acme/tool").ok()
    assert "no registry" not in done.err
    assert source(place, "tool").startswith("git+file:../forge/acme/tool@")
    place.call("install", "acme/many").fails(2, "2 skills: one, two", "skillpm install acme/many --skill one")
    place.call("install", "acme/many", "--skill", "two").ok()
    place.call("install", "acme/many/skills/one@main").ok()
    assert set(locked(place)) == {"tool", "one", "two"}


def test_a_name_that_a_registry_has_is_that_skill(tmp_path: Path, place: Project) -> None:
    registry = team(tmp_path, "tool")
    planned = place.call("install", "acme/tool", "--registry", registry, "--dry-run", "--json").ok().document
    assert [(item["name"], item["source"]) for item in planned["skills"]] == [("acme/tool", "registry:../team")]
    place.call("install", "acme/tool@1.0", "--registry", registry, "--dry-run").ok()
    words = ("install", "acme/tool", "--adapter", "x/tiny", "--registry", registry)
    place.call(*words).fails(2, "no registry knows `acme/tool-tiny`")
    place.call("install", "acme/tool@main", "--registry", registry).fails(2, "not a version", "github:acme/tool@main")
    place.call("install", "acme/tool", "--all", "--registry", registry).fails(2, "is a skill", "github:acme/tool")


def test_an_owner_whom_a_registry_knows_is_never_looked_for_elsewhere(tmp_path: Path, place: Project) -> None:
    registry = team(tmp_path, "tools")
    place.call("install", "acme/tool", "--registry", registry).fails(2, "other skills of `acme`", "`acme/tools`")
    assert not (place.root / "skillpm.lock").exists()


def test_a_repository_is_named_where_registries_were_asked(tmp_path: Path, place: Project) -> None:
    registry = team(tmp_path, "tool")
    (registry / "skills/acme/tool.json").unlink()
    done = place.call("install", "acme/tool", "--registry", registry).ok()
    assert "no registry knows `acme/tool`, so it is the repository" in done.err


def test_a_registry_that_fails_is_never_replaced_by_the_forge(tmp_path: Path, place: Project) -> None:
    place.call("install", "acme/tool", "--registry", tmp_path / "gone").fails(5, "not a folder", "`github:acme/tool`")


def test_offline_what_was_fetched_once_is_enough(place: Project, forge: Path) -> None:
    place.call("install", "acme/tool", "--offline").fails(5, "--offline")
    place.call("install", "acme/tool").ok()
    shutil.rmtree(forge)
    place.call("uninstall", "tool").ok()
    place.call("install", "acme/tool", "--offline").ok()
    assert set(locked(place)) == {"tool"}


def test_a_mistyped_path_goes_to_no_forge(place: Project) -> None:
    (place.root / "acme").mkdir()
    place.call("install", "acme/tool").fails(2, "no registry knows `acme/tool`")


def test_a_project_does_not_choose_the_forge(place: Project) -> None:
    place.write({"skillpm.yaml": "project: 1\nforge: https://evil.example\n"})
    place.call("install", "acme/tool").fails(2, "unknown key `forge`")

"""A skill that its source no longer has stays as it is locked, stops no other, and is looked for where it went."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.conftest import Project, write_tree
from tests.servers import commit_all, git
from tests.shop import MakeProject, locked, publish, skill_files


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    root = tmp_path / "upstream"
    write_tree(root / "tools/skills", {name: skill_files(name) for name in ("aa", "bb", "cc", "dd")})
    commit_all(root)
    return root


@pytest.fixture
def place(project: MakeProject, upstream: Path) -> Project:
    made = project({"skillpm.yaml": "project: 1\n"})
    made.call("install", f"git+file:{upstream}", "--all").ok()
    (upstream / "moved").mkdir()
    git(upstream, "mv", "tools/skills/aa", "moved/aa")
    git(upstream, "rm", "-rq", "tools/skills/bb")
    write_tree(upstream / "tools/skills/cc", skill_files("cc", "2.0"))
    commit_all(upstream)
    return made


def test_the_others_are_updated_and_what_is_unchanged_is_no_change(place: Project) -> None:
    dry = place.call("update", "--dry-run", "--json").ok().document
    assert {item["name"]: item["change"] for item in dry["skills"]} == {
        "aa": "kept", "bb": "kept", "cc": "replaced", "dd": "kept"
    }  # fmt: skip
    done = place.call("update").ok()
    assert locked(place) == {"aa": "1.0", "bb": "1.0", "cc": "2.0", "dd": "1.0"}
    assert "aa 1.0 stays as it is locked" in done.err and "it is in `moved/aa` now" in done.err
    assert "bb 1.0 stays as it is locked" in done.err
    assert "1 replaced, 3 up to date" in done.err
    assert max(map(len, done.out.splitlines())) < 140, "a commit is short in a table"
    place.call("lock", "--check").ok()
    place.call("sync").ok()
    place.call("verify").ok()
    assert (place.root / UNIVERSAL / "bb/SKILL.md").is_file()


def test_the_hint_works_as_it_is_typed(place: Project) -> None:
    import shlex

    said = place.call("update").ok().err
    command = said.partition("it is in `moved/aa` now: run `skillpm ")[2].partition("`")[0]
    place.call(*shlex.split(command)).ok()
    assert "moved/aa" in (place.root / "skillpm.yaml").read_text()
    assert "aa 1.0 stays" not in place.call("update").ok().err


def test_outdated_names_the_right_place_and_calls_it_gone(place: Project) -> None:
    skills = {item["name"]: item for item in place.call("outdated", "--json").fails(1).document["skills"]}
    assert {name: item["state"] for name, item in skills.items()} == {
        "aa": "gone", "bb": "gone", "cc": "outdated", "dd": "current"
    }  # fmt: skip
    assert "tools/skills/bb" in skills["bb"]["reason"] and "skills/aa" not in skills["bb"]["reason"]
    assert "`moved/aa` now" in skills["aa"]["reason"]


@pytest.mark.parametrize("kind", ["branch", "repository"])
def test_a_branch_or_a_repository_that_went_stops_no_other(
    project: MakeProject, upstream: Path, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other"
    write_tree(other, {"ee": skill_files("ee")})
    commit_all(other)
    git(upstream, "branch", "side")
    place = project({"skillpm.yaml": "project: 1\n"})
    place.call("install", f"git+file:{upstream}@side#subdirectory=tools/skills/aa", f"git+file:{other}").ok()
    write_tree(other, {"ee": skill_files("ee", "2.0")})
    commit_all(other)
    git(upstream, "branch", "-D", "side") if kind == "branch" else shutil.rmtree(upstream)
    done = place.call("update").ok()
    assert locked(place) == {"aa": "1.0", "ee": "2.0"}
    assert "aa 1.0 stays as it is locked" in done.err


def test_a_registry_that_no_longer_has_a_name_is_told(project: MakeProject, tmp_path: Path) -> None:
    shop = publish(tmp_path / "shop", skill_files("one"), skill_files("two"))
    place = project()
    place.call("install", "one", "two", "--registry", shop).ok()
    (shop / "skills/one.json").unlink()
    publish(shop, skill_files("two", "2.0"))
    done = place.call("update").ok()
    assert locked(place) == {"one": "1.0", "two": "2.0"}
    assert "one 1.0 stays as it is locked: registry:../shop no longer has it" in done.err


@pytest.mark.parametrize("command", ["update", "sync", "lock", "install"])
def test_a_folder_that_went_stops_no_other(project: MakeProject, command: str) -> None:
    place = project({"skillpm.yaml": "project: 1\n", "one": skill_files("one"), "two": skill_files("two")})
    place.call("install", "./one", "./two").ok()
    shutil.rmtree(place.root / "one")
    place.write({"two": skill_files("two", "2.0")})
    assert "one 1.0 stays as it is locked" in place.call(command).ok().err
    assert locked(place) == {"one": "1.0", "two": "2.0"}
    assert "stays" not in place.call("sync", "--frozen").ok().err


def test_a_source_that_cannot_be_asked_now_is_still_an_error(project: MakeProject, upstream: Path) -> None:
    place = project({"skillpm.yaml": "project: 1\n"})
    place.call("install", f"git+file:{upstream}#subdirectory=tools/skills/aa").ok()
    shutil.rmtree(Path(place.environment["SKILLPM_HOME"]) / "cache")
    place.call("update", "--offline").fails(5, "--offline")


def test_a_skill_without_a_version_is_named_without_one(project: MakeProject, tmp_path: Path) -> None:
    root = write_tree(
        tmp_path / "plain", {name: {"SKILL.md": skill_files(name)["SKILL.md"]} for name in ("one", "two")}
    )
    commit_all(root)
    place = project()
    place.call("install", f"git+file:{root}", "--all").ok()
    shutil.rmtree(root / "one")
    commit_all(root)
    assert "warning: one stays as it is locked" in place.call("update").ok().err

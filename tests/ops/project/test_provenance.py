"""A lock that says of a stored skill where it does not come from is noticed, without a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.layout.tree import MappingTree
from tests.conftest import Project
from tests.shop import MakeProject, locked, publish, skill_files, write_registry

WISHES: dict[str, tuple[dict[str, str], str]] = {
    "a folder": ({"path": "./mine"}, "mine"),
    "an archive": ({"archive": "./mine-1.0.tar.gz"}, "mine"),
    "a bundled skill": ({"version": "*"}, "shell-tools"),
}


def edit(place: Project, **changes: str) -> None:
    lock = json.loads((place.root / "skillpm.lock").read_text())
    lock["skills"][0].update(changes)
    place.write({"skillpm.lock": json.dumps(lock)})


def synced(project: MakeProject, wish: Any, name: str) -> Project:
    place = project({"mine": skill_files("mine")})
    place.call("pack", "mine").ok()
    place.write({"skillpm.yaml": f"project: 1\nrequires: {{{name}: {json.dumps(wish)}}}\n"})
    place.call("sync").ok()
    place.call("verify").ok()
    return place


@pytest.mark.parametrize("source", WISHES)
def test_an_archive_that_a_skill_was_not_taken_from_is_refused_warm(project: MakeProject, source: str) -> None:
    place = synced(project, *WISHES[source])
    edit(place, archive="0" * 64)
    for command in (("sync", "--frozen"), ("sync", "--locked"), ("sync",), ("lock", "--check"), ("list",)):
        if command == ("list",):
            place.call(*command).ok()
        else:
            place.call(*command).fails(4, "skillpm.lock has the archive 0000000000000000…", "version control")
    outcome = place.call("verify")
    assert outcome.code == 4 and "it has the archive 000" in outcome.out


@pytest.mark.parametrize("source", ["path:../mine", "path:/etc", "registry:../elsewhere", "git+https://example.org/x"])
def test_another_source_than_the_project_names_is_told_of(project: MakeProject, source: str) -> None:
    place = synced(project, *WISHES["a folder"])
    edit(place, source=source)
    said = f"mine is locked from {source}, but required from path:mine"
    for command in (("sync", "--locked"), ("sync", "--frozen"), ("verify",), ("lock", "--check")):
        place.call(*command).fails(7, said)
    lock = json.loads((place.root / "skillpm.lock").read_text())
    place.write({"skillpm.lock": json.dumps({**lock, "requirements": [f"mine @ {source}"]})})
    place.call("sync", "--locked").fails(7, "the lock does not have the requirement `mine @ path:mine`")
    assert said in place.call("sync", "--frozen").ok().err
    outcome = place.call("verify")
    assert outcome.code == 4 and f"it is locked from {source}, and required from path:mine" in outcome.out


def test_the_page_of_a_registry_decides_of_its_archives(project: MakeProject, tmp_path: Path) -> None:
    """Another program may have packed one; without its page, nothing is claimed."""
    write_registry(tmp_path / "shop", [MappingTree({path: text.encode() for path, text in skill_files().items()})])
    place = project()
    place.call("install", "demo", "--registry", tmp_path / "shop").ok()
    edit(place, archive="0" * 64)
    assert place.call("verify").code == 4
    place.call("sync", "--frozen").fails(4, "skillpm.lock has the archive 0000000000000000… for demo 1.0")
    (tmp_path / "shop").rename(tmp_path / "away")
    assert place.call("verify").code == 0


def test_a_folder_that_has_no_such_skill_is_no_source(project: MakeProject, tmp_path: Path) -> None:
    place = project()
    place.call("install", "shell-tools").ok()
    for folder, code in (("/etc", 4), (str(tmp_path / "gone"), 0)):
        edit(place, source=f"path:{folder}")
        assert (f"path:{folder}, where it is locked from, has none" in place.call("sync", "--frozen").ok().err) is bool(
            code
        )
        outcome = place.call("verify")
        assert outcome.code == code, outcome


@pytest.mark.parametrize("requires", [None, "project: 1\nrequires: {demo: '>=1'}\nregistries: {}\n"])
def test_a_skill_that_the_lock_takes_from_another_registry_than_before_is_told(
    project: MakeProject, tmp_path: Path, requires: str | None
) -> None:
    """Nothing else says where it came from: the project names no registry, and both have the same bytes."""
    for name in ("ours", "theirs"):
        publish(tmp_path / name, skill_files("demo", "1.0"))
    place = project({} if requires is None else {"skillpm.yaml": requires})
    place.call("install", "demo", SKILLPM_REGISTRIES=str(tmp_path / "ours")).ok()
    installed = json.loads((place.root / "skillpm.lock").read_text())["skills"][0]["source"]
    edit(place, source=installed.replace("ours", "theirs"))
    told = (
        f"demo was installed from {installed}, and skillpm.lock now takes it from {installed.replace('ours', 'theirs')}"
    )
    assert told in place.call("outdated").ok().err
    assert f"and was installed from {installed}" in place.call("verify").fails(4, "").out
    for words in ("sync --dry-run", "install demo --dry-run", "sync --frozen"):
        assert told in place.call(*words.split()).ok().err, words
    assert told not in place.call("sync").ok().err, "it was told, and stands in the record now"
    place.call("verify").ok()


def test_a_skill_that_a_command_takes_from_another_registry_is_no_edit(project: MakeProject, tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        publish(tmp_path / name, skill_files("demo", "1.0"))
    place = project({})
    place.call("install", "demo", "--registry", tmp_path / "ours").ok()
    moved = place.call("install", "demo", "--registry", tmp_path / "theirs", "--force").ok()
    assert "was installed from" not in moved.err
    place.call("verify").ok()


def test_a_new_release_of_a_registry_that_only_the_lock_names_is_told_of(project: MakeProject, tmp_path: Path) -> None:
    for registry, version in (("shop", "1.0"), ("evil", "1.0"), ("evil", "1.1")):
        publish(tmp_path / registry, skill_files("base", version))
    place = project({"skillpm.yaml": "project: 1\nrequires: {base: '*'}\nregistries: {shop: ../shop}\n"})
    place.call("sync").ok()
    edit(place, source="registry:../evil")
    place.call("sync").ok()
    says = "base 1.1 comes from registry:../evil, which skillpm.lock names, but neither skillpm.yaml nor your settings"
    assert says in place.call("update").ok().err
    publish(tmp_path / "evil", skill_files("base", "1.2"))
    alone = project()  # its lock is all that names the registry
    alone.call("install", "base==1.0", "--registry", tmp_path / "evil").ok()
    alone.write({"skillpm.lock": (alone.root / "skillpm.lock").read_text().replace('"base==1.0"', '"base"')})
    assert "neither" not in alone.call("update").ok().err
    assert locked(alone) == {"base": "1.2"}

"""`skillpm pack` takes the skill and not the working folder, and `publish` takes the same files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from packaging.version import Version

from tests.conftest import Project
from tests.shop import MakeProject, skill_files

CLUTTER = {".env": "TOKEN=abc", "id_rsa": "k", "runs": {"a": "x"}, ".idea": {"w.xml": "1"}, "debug.log": "x"}
KEY = "AKIA" + "Q3EGRZ4T2LMNB7XW"


@pytest.fixture
def place(project: MakeProject) -> Project:
    """A project with a skill in ``mine``, in a folder full of clutter, and a registry in ``shop``."""
    made = project({"mine": {**skill_files("mine"), **CLUTTER, ".gitignore": "*.log\n"}})
    made.call("registry", "init", "shop").ok()
    return made


def members(archive: Path) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        return tar.getnames()


FILES = [".gitignore", "SKILL.md", "skill.yaml"]


def test_list_archive_dry_run_publication_and_install_have_the_same_files(place: Project) -> None:
    assert place.call("pack", "mine", "--list").ok().out.splitlines() == FILES
    assert "left out: .env, .idea, debug.log, id_rsa, runs" in place.call("pack", "mine").ok().err
    assert members(place.root / "mine-1.0.tar.gz") == FILES
    shown = place.call("publish", "mine", "--registry", "shop", "--dry-run")
    assert [line.strip() for line in shown.ok().err.splitlines() if line.startswith("  ")][-3:] == FILES
    published = place.call("publish", "mine", "--registry", "shop", "--json").ok().document
    assert published["files"] == FILES and published["left_out"] == [".env", ".idea", "debug.log", "id_rsa", "runs"]
    installed = place.call("install", "./mine", "--json").ok().document
    assert installed["skills"][0]["tree"] == published["tree"]
    assert sorted(path.name for path in (place.root / ".agents/skills/mine").iterdir()) == FILES


@pytest.mark.parametrize("typed", ["v1.0.0", "1.0.0-rc1", "1.0.0.RC1", "01.0"])
def test_archive_registry_and_lock_have_the_canonical_form_of_a_version(place: Project, typed: str) -> None:
    (place.root / "mine/skill.yaml").write_text(f'manifest: 1\nversion: "{typed}"\n')
    canonical = str(Version(typed))
    assert place.call("pack", "mine").ok().out == f"mine-{canonical}.tar.gz\n"
    assert place.call("publish", "mine", "--registry", "shop", "--json").ok().document["version"] == canonical
    place.call("install", "mine", "--registry", "shop").ok()
    lock = place.root / "skillpm.lock"
    assert f'"version": "{canonical}"' in lock.read_text()
    lock.write_text(lock.read_text().replace(f'"version": "{canonical}"', f'"version": "{typed}"'))
    place.call("verify").ok()  # an older lock has what was typed


def test_a_missing_readme_is_told_to_the_author_and_not_to_those_who_install(place: Project) -> None:
    assert "SK504" in place.call("publish", "mine", "--registry", "shop").ok().err
    installed = place.call("install", "mine", "--registry", "shop").ok()
    assert "SK504" not in installed.out + installed.err
    assert "SK504" not in place.call("validate", "mine", "--level", "strict").out


def test_packing_from_within_a_skill_writes_beside_it_and_can_be_repeated(place: Project) -> None:
    inside = place.root / "mine"
    before = sorted(inside.rglob("*"))
    first = place.call("pack", cwd=inside).ok()
    assert first.out == "../mine-1.0.tar.gz\n" and (place.root / "mine-1.0.tar.gz").is_file()
    assert sorted(inside.rglob("*")) == before
    assert place.call("pack", "--json", cwd=inside).ok().document["tree"] in first.err
    place.call("validate", ".", cwd=inside).ok()


def test_an_archive_inside_of_the_packed_folder_is_refused_unless_it_is_left_out(place: Project) -> None:
    place.call("pack", "mine", "--output", "mine/x.tar.gz").fails(2, "inside the packed folder", ".skillpmignore")
    place.call("pack", "mine", "--output", "mine/dist/").ok()
    assert place.call("pack", "mine", "--list").ok().out.splitlines() == FILES
    place.call("validate", "mine").ok()


def test_a_skill_that_is_installed_into_itself_does_not_grow(place: Project) -> None:
    inside = place.root / "mine"
    agents = ("claude-code", "openclaw", "astrbot", "openclaw")  # openclaw reads skills/, astrbot data/skills/
    commands = [["install", ".", "--agent", agent, "--json"] for agent in agents]
    trees = [place.call(*command, cwd=inside).ok().document["skills"][0]["tree"] for command in commands]
    assert (inside / "skills/mine/SKILL.md").is_file() and (inside / "data/skills/mine/SKILL.md").is_file()
    assert len(set(trees)) == 1
    assert place.call("pack", "--list", cwd=inside).ok().out.splitlines() == FILES


def test_a_secret_is_an_error_with_its_line_until_it_is_allowed(place: Project) -> None:
    place.write({"mine": {"scripts": {"run.sh": f"#!/bin/sh\nexport AWS={KEY}\n"}}})
    for command in (["pack", "mine"], ["publish", "mine", "--registry", "shop"]):
        refused = place.call(*command)
        refused.fails(1, "mine/scripts/run.sh:2: error SK610", "AWS access key", "--allow SK610")
        assert KEY not in refused.err
    assert "SK610" in place.call("validate", "mine", "--level", "publish").out
    place.call("validate", "mine", "--level", "strict").ok()
    place.call("pack", "mine", "--allow", "SK610").ok()
    place.call("publish", "mine", "--registry", "shop", "--allow", "SK610").ok()


def test_a_published_archive_is_compressed_and_keeps_its_name(place: Project) -> None:
    place.write({"mine": skill_files("mine", body="The same line.\n" * 2000)})
    published = place.call("publish", "mine", "--registry", "shop", "--json").ok().document
    (archive,) = (place.root / "shop/archives").rglob("*.tar.gz")
    assert archive.stat().st_size == published["size"] < 2000
    other = place.root / "other"
    other.mkdir()
    place.call("install", "mine", "--registry", place.root / "shop", cwd=other).ok()
    archive.write_bytes(archive.read_bytes()[:-20])
    place.call("publish", "mine", "--registry", "shop").ok()
    assert archive.stat().st_size == published["size"]

"""A shared folder is a whole registry: many publish to it and install from it at once, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skillpm.index import folder_registry as registries
from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.model.release import Page, Release
from skillpm.storage import process_lock
from skillpm.storage.archive import build_archive, read_archive
from tests.shop import MakeProject, snapshot

PUBLISHER = """
import sys
import time
from pathlib import Path
from skillpm.errors import ConflictError
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree
from skillpm.index.folder_registry import FolderRegistry
from skillpm.storage.archive import build_archive
root, go, *wanted = sys.argv[1:]
made = []
for text in wanted:
    name, version, body = text.split(":")
    head = f"---\\nname: {name}\\ndescription: Shows {name}. Use when testing.\\n---\\n{body}\\n"
    tree = MappingTree({"SKILL.md": head.encode(), "skill.yaml": f"manifest: 1\\nversion: '{version}'\\n".encode()})
    archive = build_archive(tree)
    made.append((*release_of(tree, archive), archive))
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.002)
try:
    for name, release, archive in made:
        FolderRegistry(Path(root), "shop").publish(name, release, archive)
except ConflictError as error:
    sys.exit(error.exit_code)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    make_registry(tmp_path / "shop", "shop")
    return tmp_path / "shop"


def at_once(shop: Path, wanted: list[list[str]], before: str = "") -> list[int]:
    """Let one process for each list publish its ``name:version:body``, all from the same instant on."""
    go = shop.parent / "go"
    running = [
        subprocess.Popen([sys.executable, "-c", before + PUBLISHER, str(shop), str(go), *texts], stdout=subprocess.PIPE)
        for texts in wanted
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    go.touch()
    codes = [process.wait(60) for process in running]
    for process in running:
        assert process.stdout is not None
        process.stdout.close()
    return codes


def page(shop: Path, name: str) -> Page:
    found = DirectoryIndex(shop, "shop").page(name)
    assert found is not None
    return found


def is_whole(shop: Path) -> bool:
    """Do all pages agree with the archives that they name?"""
    index = DirectoryIndex(shop, "shop")
    return all(
        tree_digest(read_archive(index.archive(name, release))) == release.tree
        for name in index.names()
        for release in page(shop, name).releases
    )


@pytest.mark.slow
def test_eight_publish_different_skills_and_versions_of_one_skill_and_none_is_lost(shop: Path) -> None:
    wanted = [[f"skill-{n}:1.0:x", *(f"busy:{minor}.{n}:x" for minor in range(3))] for n in range(8)]
    assert at_once(shop, wanted) == [0] * 8
    assert DirectoryIndex(shop, "shop").names() == ["busy", *(f"skill-{n}" for n in range(8))]
    assert {item.version for item in page(shop, "busy").releases} == {f"{m}.{n}" for m in range(3) for n in range(8)}
    assert is_whole(shop)
    assert not list((shop / "tmp").iterdir())


def test_of_five_with_other_bytes_for_one_version_exactly_one_wins(shop: Path) -> None:
    assert sorted(at_once(shop, [[f"busy:1.0:{n}"] for n in range(5)])) == [0, *[5] * 4]
    assert len(page(shop, "busy").releases) == 1
    assert is_whole(shop)


@pytest.mark.slow
def test_eight_publishers_of_the_same_bytes_all_succeed(shop: Path) -> None:
    assert at_once(shop, [["busy:1.0:same"]] * 8) == [0] * 8
    assert len(page(shop, "busy").releases) == 1


@pytest.mark.slow
def test_publishing_works_where_the_file_system_knows_no_locks(shop: Path) -> None:
    """The lock only spares rounds: without it, whoever writes the page last has seen every release."""
    no_locks = "import fcntl, errno\ndef flock(*_): raise OSError(errno.ENOLCK, 'no locks')\nfcntl.flock = flock\n"
    wanted = [[f"busy:{minor}.{n}:x" for minor in range(4)] for n in range(8)]
    assert at_once(shop, wanted, no_locks) == [0] * 8
    assert len(page(shop, "busy").releases) == 32
    assert is_whole(shop)


def test_a_publisher_that_was_stopped_holds_nobody_up(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(shop, "1.0")
    with process_lock.turns(shop / "releases/demo.d"):
        monkeypatch.setattr(registries, "turns", lambda folder: process_lock.turns(folder, wait=0.05))
        publish(shop, "1.1")
    assert [item.version for item in page(shop, "demo").releases] == ["1.0", "1.1"]


def demo(version: str, body: str = "x") -> tuple[str, Release, bytes]:
    head = f"---\nname: demo\ndescription: Shows demo. Use when testing.\n---\n{body}\n"
    tree = MappingTree({"SKILL.md": head.encode(), "skill.yaml": f"manifest: 1\nversion: '{version}'\n".encode()})
    archive = bytes(build_archive(tree))
    return (*release_of(tree, archive), archive)


def publish(shop: Path, version: str, body: str = "x") -> bool:
    return FolderRegistry(shop, "shop").publish(*demo(version, body))


@pytest.mark.slow
def test_installs_go_on_while_others_publish(project: MakeProject, shop: Path) -> None:
    publish(shop, "1.0")
    writer = subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(shop), str(shop), *(f"demo:1.{n}:x" for n in range(1, 30))],
        stdout=subprocess.DEVNULL,
    )
    place = project()
    versions: list[str] = []
    while writer.poll() is None or not versions:
        place.call("install", "demo>=1", "--registry", shop).ok()
        versions.append(json.loads((place.root / "skillpm.lock").read_text())["skills"][0]["version"])
    assert writer.returncode == 0
    assert is_whole(shop)
    assert len(page(shop, "demo").releases) == 30


@pytest.mark.parametrize("left", ["archive", "statement", "page", "everything"])
def test_publishing_again_completes_what_a_killed_publisher_left(shop: Path, left: str) -> None:
    """Skipped is the last thing that it wrote; a release whose page was not written is seen by nobody."""
    name, release, archive = demo("1.0")
    whole = shop.parent / "whole"
    shutil.copytree(shop, whole)
    FolderRegistry(whole, "shop").publish(name, release, archive)
    copies = {"archive": ["archives"], "statement": ["archives", "releases"], "page": ["skills", "releases"]}
    for folder in copies.get(left, ["archives", "releases", "skills"]):
        shutil.copytree(whole / folder, shop / folder)
    seen = DirectoryIndex(shop, "shop").page("demo") is not None
    assert seen is (left in ("page", "everything"))
    assert publish(shop, "1.0") is not seen
    assert is_whole(shop)
    assert snapshot(shop) == snapshot(whole)


def test_a_page_from_elsewhere_is_kept_when_its_skill_is_published(shop: Path) -> None:
    """A registry that was copied without its statements goes on."""
    publish(shop, "1.0")
    shutil.rmtree(shop / "releases")
    publish(shop, "1.1")
    assert [item.version for item in page(shop, "demo").releases] == ["1.0", "1.1"]
    FolderRegistry(shop, "shop").yank("demo", "1.0", "bad")
    assert [item.yanked for item in page(shop, "demo").releases] == ["bad", False]


def test_what_is_made_has_the_rights_of_the_registrys_folder(tmp_path: Path) -> None:
    """So a group that shares the folder can publish, whatever each one's umask is."""
    shop = tmp_path / "shop"
    shop.mkdir()
    shop.chmod(0o2770)
    before = os.umask(0o077)
    try:
        make_registry(shop, "shop")
        publish(shop, "1.0")
        FolderRegistry(shop, "shop").yank("demo", "1.0", "bad")
    finally:
        os.umask(before)
    for path in shop.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o2770 if path.is_dir() else 0o660), path


def test_what_killed_publishers_left_is_removed_after_a_day(shop: Path) -> None:
    for name, age in (("old", 2 * 86400), ("young", 0)):
        (shop / "tmp" / name).mkdir()
        os.utime(shop / "tmp" / name, (time.time() - age, time.time() - age))
    publish(shop, "1.0")
    assert [path.name for path in (shop / "tmp").iterdir()] == ["young"]


def test_a_lost_or_damaged_archive_is_put_back_by_publishing_again(shop: Path) -> None:
    publish(shop, "1.0")
    archive = next((shop / "archives").glob("*/*"))
    archive.write_bytes(b"damaged")
    assert publish(shop, "1.0") is False
    assert is_whole(shop)

"""A tree is its regular files: nothing is followed, nothing blocks, and its digest is the same wherever it lies."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.errors import DocumentError, LayoutError, SkillpmError, StorageError
from skillpm.layout.check import check
from skillpm.layout.description import describe
from skillpm.layout.discovery import MAX_DEPTH, MAX_FOLDERS, discover
from skillpm.layout.tree import FolderTree, MappingTree, tree_digest

SKILL = b"---\nname: a\ndescription: Does\n  it.\nmetadata:\n  version: 1.10\n---\n\n# A\n"


def write(root: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def test_a_folder_and_a_mapping_of_one_skill_have_one_digest(tmp_path: Path) -> None:
    files = {"SKILL.md": SKILL, "scripts/run.sh": b"#!/bin/sh\n", "a b/c": b""}
    folder = FolderTree(write(tmp_path, files))
    assert tree_digest(folder) == tree_digest(MappingTree(files))
    (tmp_path / "scripts/run.sh").chmod(0o755)
    assert tree_digest(FolderTree(tmp_path)) == tree_digest(MappingTree(files, {"scripts/run.sh"}))
    assert tree_digest(FolderTree(tmp_path)) != tree_digest(folder)


@given(st.dictionaries(st.text(min_size=1), st.binary(), min_size=1), st.randoms())
def test_the_digest_depends_on_content_and_not_on_order(files: dict[str, bytes], chance: random.Random) -> None:
    shuffled = list(files.items())
    chance.shuffle(shuffled)
    assert tree_digest(MappingTree(files)) == tree_digest(MappingTree(dict(shuffled)))
    path = shuffled[0][0]
    assert tree_digest(MappingTree(files)) != tree_digest(MappingTree({**files, path: files[path] + b"x"}))
    assert tree_digest(MappingTree(files)) != tree_digest(MappingTree({**files, path + "x": b"new"}))


def test_what_tools_leave_behind_is_no_part_of_a_tree(tmp_path: Path) -> None:
    junk = [".git/config", ".hg/store", "a/__pycache__/x.py", "x.pyc", ".DS_Store", "a/.DS_Store"]
    write(tmp_path, dict.fromkeys(["SKILL.md", ".env.example", *junk], b""))
    assert FolderTree(tmp_path).paths() == [".env.example", "SKILL.md"]


def test_links_pipes_and_sockets_are_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"skill/SKILL.md": SKILL, "secret": b"secret"})
    root = tmp_path / "skill"
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        tree = FolderTree(root)
        assert tree.paths() == ["SKILL.md"]
        assert tree.irregular() == {"folder": "symlink", "link": "symlink", "pipe": "fifo", "socket": "socket"}
        assert {f.path for f in check(tree, path="x", folder="a").findings if f.code == "SK402"} == set(
            tree.irregular()
        )
    for path in ("link", "missing", "SKILL.md/x", "nul\0"):
        with pytest.raises(StorageError):
            tree.read(path)
    assert tree.read("pipe") == b"", "a pipe that takes a file's place does not block"


def test_a_linked_skill_file_is_a_finding(tmp_path: Path) -> None:
    write(tmp_path, {"a/x": b"", "SKILL.md": SKILL})
    (tmp_path / "a/SKILL.md").symlink_to(tmp_path / "SKILL.md")
    findings = check(FolderTree(tmp_path / "a"), path="x", folder="a").findings
    assert [finding.code for finding in findings] == ["SK001", "SK402"]


def test_file_names_that_are_no_text_are_findings(tmp_path: Path) -> None:
    write(tmp_path, {"SKILL.md": SKILL})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.md")).write_bytes(b"x")
    tree = FolderTree(tmp_path)
    assert tree.read(tree.paths()[1]) == b"x"
    assert len(tree_digest(tree)) == 64
    assert "SK403" in {finding.code for finding in check(tree, path="x", folder=None).errors}


def test_a_description_holds_what_an_index_needs() -> None:
    described = describe(MappingTree({"SKILL.md": SKILL}))
    assert (described.name, described.description, described.version) == ("a", "Does it.", "1.10")
    assert (described.manifest, described.body) == (None, "# A\n")
    packaged = describe(MappingTree({"SKILL.md": SKILL, "skill.yaml": b"manifest: 1\nversion: 2.0\n"}))
    assert packaged.manifest is not None and packaged.version == "2.0"
    assert describe(MappingTree({"skill.md": SKILL.replace(b"1.10", b"latest")})).version == "0"


@pytest.mark.parametrize(
    ("files", "error", "text"),
    [
        ({}, LayoutError, "no SKILL.md"),
        ({"SKILL.md": b"# A"}, LayoutError, "frontmatter is missing"),
        ({"SKILL.md": b"---\nname: a\n---\n"}, LayoutError, "no `description`"),
        ({"SKILL.md": b"\xff"}, LayoutError, "not UTF-8"),
        ({"SKILL.md": SKILL.replace(b": a", b": ../../a")}, LayoutError, "cannot|not a name"),
        ({"SKILL.md": SKILL.replace(b": a", b": o/a")}, LayoutError, "not a name"),
        ({"SKILL.md": SKILL, "skill.yaml": b"manifest: 1\nversion: 1\ncolour: red\n"}, DocumentError, "skill.yaml:3"),
    ],
)
def test_what_cannot_be_installed_is_refused_with_the_place(
    files: dict[str, bytes], error: type[SkillpmError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        describe(MappingTree(files))
    assert error is DocumentError or caught.value.hint


def test_discovery_is_bounded_and_follows_nothing(tmp_path: Path) -> None:
    within = ["a", "group/b", ".agents/skills/c", "1/2/3/4/5/6b"]
    beyond = ["group/b/inner", "node_modules/d", ".git/e", "1/2/3/4/5/6/7", "../outside"]
    write(tmp_path / "root", {f"{name}/SKILL.md": SKILL for name in within + beyond})
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    found = discover(tmp_path / "root")
    names = [folder.relative_to(tmp_path / "root").as_posix() for folder in found.skills]
    assert names == sorted(within)
    assert MAX_DEPTH == 6 and found.complete
    assert found.deep == (tmp_path / "root/1/2/3/4/5/6/7",)
    assert discover(tmp_path / "root/a").skills == (tmp_path / "root/a",)


def test_a_search_that_was_cut_short_says_so(tmp_path: Path) -> None:
    for number in range(MAX_FOLDERS):
        (tmp_path / str(number)).mkdir()
    assert not discover(tmp_path).complete

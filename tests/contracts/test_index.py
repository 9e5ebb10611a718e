"""Every kind of index keeps the promises of the Index port."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillpm.index.bundled import BundledIndex, bundled_skills
from skillpm.index.chain import ChainIndex
from skillpm.index.directory import DirectoryIndex
from skillpm.index.path import PathIndex
from skillpm.layout.tree import FolderTree, MappingTree, tree_digest
from skillpm.model.name import is_name
from skillpm.model.ports import Index, SearchableIndex
from skillpm.ops.registry import write_registry
from skillpm.storage.archive import build_archive, read_archive

SkillFiles = Callable[..., dict[str, Any]]


def tree(files: dict[str, Any]) -> MappingTree:
    return MappingTree({path: text.encode() for path, text in files.items()})


@pytest.fixture(params=["path", "bundled", "directory", "chain"])
def index(request: pytest.FixtureRequest, tmp_path: Path, skill_files: SkillFiles) -> Index:
    registry = tmp_path / "registry"
    write_registry(registry, [tree(skill_files("demo", version)) for version in ("1.0", "1.10", "1.9")])
    folder = tmp_path / "other"
    folder.mkdir()
    for path, text in skill_files("other", requires={"demo": ">=1"}).items():
        (folder / path).write_text(text)
    kinds: dict[str, Callable[[], Index]] = {
        "path": lambda: PathIndex(folder, "path:other", build_archive),
        "bundled": lambda: BundledIndex(build_archive),
        "directory": lambda: DirectoryIndex(registry, "registry:registry"),
        "chain": lambda: ChainIndex([kinds["path"](), kinds["directory"]()]),
    }
    return kinds[request.param]()


def test_every_name_that_it_lists_has_a_page_of_that_name(index: Index) -> None:
    names = index.names()
    assert names == sorted(names)
    assert all(is_name(name) for name in names)
    for name in names:
        page = index.page(name)
        assert page is not None
        assert page.name == name
        assert page.releases


def test_what_it_lists_for_a_search_is_what_its_pages_say(index: Index) -> None:
    if not isinstance(index, SearchableIndex):
        assert isinstance(index, ChainIndex), "of several indexes each is searched by itself"
        return
    listings = list(index.listings())
    assert [item.name for item in listings] == index.names()
    for item in listings:
        page = index.page(item.name)
        assert page is not None
        release = page.shown()
        assert release is not None
        assert (item.version, item.summary[:1024]) == (release.version, release.summary)


def test_a_name_that_it_does_not_know_has_no_page(index: Index) -> None:
    assert index.page("no-such-skill-anywhere") is None
    assert index.page("owner/no-such-skill") is None


def test_every_release_has_the_digests_and_the_size_of_its_archive(index: Index) -> None:
    for name in index.names():
        page = index.page(name)
        assert page is not None
        for release in page.releases:
            data = index.archive(name, release)
            assert hashlib.sha256(data).hexdigest() == release.archive
            assert len(data) == release.size
            assert tree_digest(read_archive(data)) == release.tree


def test_it_has_a_name_for_the_lock(index: Index) -> None:
    assert index.name


def test_the_embedded_registry_has_every_first_party_skill() -> None:
    assert {"incident-triage", "langgraph-cli"} <= set(bundled_skills())
    for folder in bundled_skills().values():
        assert not FolderTree(folder).irregular()

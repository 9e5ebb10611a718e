"""Every kind of index keeps the promises of the Index port."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from skillpm.errors import IntegrityError
from skillpm.index.bundled import BundledIndex
from skillpm.index.shipped import bundled_skills
from skillpm.index.source import Surroundings, open_registry, open_skills, open_source
from skillpm.index.well_known import SCHEMA
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.name import is_name
from skillpm.model.ports import Index, SearchableIndex
from skillpm.model.source import Source
from skillpm.ops.project.fetch import open_release
from skillpm.storage.archive import build_archive, read_archive
from tests.conftest import write_tree
from tests.servers import Shop, commit_all, serving
from tests.shop import skill_files, tree, write_registry

SEARCHABLE = ("bundled", "directory", "http", "well-known")
KINDS = ("path", "git", "archive", *SEARCHABLE)


@dataclass
class Places:
    """The same skills, ``demo`` in three versions and ``other``, wherever skills can come from."""

    root: Path
    shop: Shop

    def __post_init__(self) -> None:
        self.around = Surroundings(self.root, self.root / "cache")

    def index(self, kind: str) -> Index:
        """Open one kind."""
        if kind == "bundled":
            return BundledIndex()
        registries = {"directory": str(self.root / "registry"), "http": f"{self.shop.url}/registry"}
        if kind in registries:
            return open_registry(registries[kind], self.around)
        places = {
            "path": str(self.root / "skills/other"),
            "archive": str(self.root / "other.tar.gz"),
            "git": f"git+file:{self.root / 'skills'}@main#subdirectory=other",
            "well-known": f"{self.shop.url}/.well-known/agent-skills",
        }
        (index,) = open_skills(places[kind], self.around)
        return index


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """One for all: the tests only read."""
    tmp_path = tmp_path_factory.mktemp("places")
    script = {"scripts": {"run.sh*": "#!/bin/sh\n"}, ".gitignore": "*.log\n"}
    other = write_tree(tmp_path / "skills/other", {**skill_files("other", requires={"demo": ">=1"}), **script})
    (other / "__pycache__").mkdir()
    (other / "__pycache__/x.pyc").write_bytes(b"left out")
    commit_all(tmp_path / "skills")
    releases = [tree(skill_files("demo", version)) for version in ("1.0", "1.10", "1.9")]
    write_registry(tmp_path / "registry", [*releases, FolderTree(other)])
    archive = build_archive(FolderTree(other))
    (tmp_path / "other.tar.gz").write_bytes(archive)
    offer = {"name": "other", "type": "archive", "url": "/other.tar.gz"}
    offer["description"] = describe(FolderTree(other)).description
    document = {"$schema": SCHEMA, "skills": [{**offer, "digest": f"sha256:{hashlib.sha256(archive).hexdigest()}"}]}
    write_tree(tmp_path, {".well-known/agent-skills/index.json": json.dumps(document)})
    with serving(tmp_path) as shop:
        yield Places(tmp_path, shop)


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, places: Places) -> Index:
    return places.index(request.param)


def test_one_skill_has_one_tree_digest_wherever_it_comes_from(places: Places) -> None:
    expected = tree_digest(FolderTree(places.root / "skills/other"))
    for kind in KINDS:
        if kind != "bundled":
            index = places.index(kind)
            page = index.page("other")
            assert page is not None, kind
            assert [release.tree for release in page.releases] == [expected], kind
            unpacked = read_archive(index.archive("other", page.releases[0]))
            assert tree_digest(unpacked) == expected, kind
            assert unpacked.executable("scripts/run.sh"), kind
            assert page.releases[0].requires == {"demo": ">=1"}, kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_that_a_lock_keeps_opens_the_same_release_again(places: Places, kind: str) -> None:
    index = places.index(kind)
    skill = "incident-triage" if kind == "bundled" else "other"
    page = index.page(skill)
    assert page is not None
    assert str(places.root) not in index.name
    again = open_source(Source.parse(index.name), places.around)
    assert again.name == index.name
    assert again.archive(skill, page.releases[0]) == index.archive(skill, page.releases[0])


def test_every_name_that_it_lists_has_a_page_of_that_name(index: Index) -> None:
    names = index.names()
    assert names == sorted(names)
    assert all(is_name(name) for name in names)
    for name in names:
        page = index.page(name)
        assert page is not None
        assert page.name == name
        assert page.releases


@pytest.mark.parametrize("kind", SEARCHABLE)
def test_what_an_index_lists_for_a_search_is_what_its_pages_say(places: Places, kind: str) -> None:
    index = places.index(kind)
    assert isinstance(index, SearchableIndex)
    listings = list(index.listings())
    assert [item.name for item in listings] == index.names()
    for item in listings:
        page = index.page(item.name)
        assert page is not None
        release = page.shown()
        assert release is not None
        assert item.version in ("", release.version)
        assert item.summary[:1024] == release.summary


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


@pytest.mark.parametrize("kind", ["directory", "http"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data + b"x", "is too long: its page says"),
        (lambda data: data[:-1], "is too short: it has"),
        (lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:], "sha256 is"),
    ],
    ids=["too long", "too short", "changed"],
)
def test_every_registry_refuses_a_damaged_archive_alike(
    tmp_path: Path, kind: str, damage: Callable[[bytes], bytes], words: str
) -> None:
    write_registry(tmp_path, [tree(skill_files("demo"))])
    (archive,) = tmp_path.glob("archives/*/*")
    archive.write_bytes(damage(archive.read_bytes()))
    with serving(tmp_path) as shop:
        index = open_registry({"directory": str(tmp_path), "http": shop.url}[kind], Surroundings(tmp_path, tmp_path))
        page = index.page("demo")
        assert page is not None
        with pytest.raises(IntegrityError, match=f"demo 1.0 from {re.escape(index.name)}.* {words}") as caught:
            open_release("demo", page.releases[0], index)
    assert "do not use it" in (caught.value.hint or "")


def test_an_index_has_a_name_for_the_lock(index: Index) -> None:
    assert index.name


def test_the_embedded_registry_has_every_first_party_skill() -> None:
    assert {"incident-triage", "langgraph-cli"} <= set(bundled_skills())
    for folder in bundled_skills().values():
        assert not FolderTree(folder).irregular()

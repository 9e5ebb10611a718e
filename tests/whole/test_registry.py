"""Every kind of registry keeps the promises of the Registry port."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.errors import ConflictError, RegistryError
from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.model.ports import Registry
from skillpm.model.release import Release
from skillpm.storage.archive import build_archive, read_archive
from tests.shop import skill_files

Made = Callable[..., tuple[str, Release, bytes]]


@pytest.fixture(params=["folder"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Registry]:
    """Return what opens one registry, each time as another process would."""
    make_registry(tmp_path / "shop", "shop")
    return lambda: FolderRegistry(tmp_path / "shop", "registry:shop")


@pytest.fixture
def made() -> Made:
    """Return ``made(version, body) -> (name, release, archive)`` of the skill demo."""

    def make(version: str = "1.0", body: str = "Do it.\n") -> tuple[str, Release, bytes]:
        files = {path: text.encode() for path, text in skill_files("demo", version, body=body).items()}
        archive = bytes(build_archive(MappingTree(files)))
        name, release = release_of(MappingTree(files), archive)
        return name, release, archive

    return make


def versions(registry: Registry) -> dict[str, bool | str]:
    page = registry.page("demo")
    return {release.version: release.yanked for release in page.releases} if page else {}


def test_what_is_published_is_there_for_everybody(registry: Callable[[], Registry], made: Made) -> None:
    name, release, archive = made()
    assert registry().publish(name, release, archive) is True
    assert versions(registry()) == {"1.0": False}
    data = registry().archive(name, release)
    assert hashlib.sha256(data).hexdigest() == release.archive
    assert tree_digest(read_archive(data)) == release.tree


def test_the_same_content_again_is_a_success_that_says_so(registry: Callable[[], Registry], made: Made) -> None:
    registry().publish(*made())
    assert registry().publish(*made()) is False
    assert versions(registry()) == {"1.0": False}


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "1"])
def test_other_content_for_a_version_is_a_conflict(registry: Callable[[], Registry], made: Made, version: str) -> None:
    """PEP 440 holds 1, 1.0 and 1.0.0 to be one version."""
    first = made("1.0")
    registry().publish(*first)
    with pytest.raises(ConflictError) as caught:
        registry().publish(*made(version, "Other.\n"))
    assert caught.value.exit_code == 5
    assert "version bump" in str(caught.value.hint)
    page = registry().page("demo")
    assert page is not None
    assert [release.tree for release in page.releases] == [first[1].tree]


def test_releases_are_listed_by_version(registry: Callable[[], Registry], made: Made) -> None:
    for version in ("1.10", "1.9", "2.0rc1", "0.1"):
        registry().publish(*made(version))
    assert list(versions(registry())) == ["0.1", "1.9", "1.10", "2.0rc1"]


def test_a_release_is_yanked_with_a_reason_and_taken_back_in(registry: Callable[[], Registry], made: Made) -> None:
    registry().publish(*made("1.0"))
    registry().publish(*made("1.1"))
    assert registry().yank("demo", "1.0.0", "loses data") is True
    assert registry().yank("demo", "1.0", "loses data") is False
    assert versions(registry()) == {"1.0": "loses data", "1.1": False}
    assert registry().publish(*made("1.0")) is False
    assert versions(registry())["1.0"] == "loses data"
    assert registry().yank("demo", "1.0", None) is True
    assert registry().yank("demo", "1.0", None) is False
    assert versions(registry()) == {"1.0": False, "1.1": False}


def test_only_what_is_there_can_be_yanked(registry: Callable[[], Registry], made: Made) -> None:
    registry().publish(*made("1.0"))
    with pytest.raises(RegistryError, match="no demo 2"):
        registry().yank("demo", "2", "bad")
    with pytest.raises(RegistryError) as caught:
        registry().yank("dem", "1.0", "bad")
    assert "`demo`" in str(caught.value.hint)
    assert versions(registry()) == {"1.0": False}

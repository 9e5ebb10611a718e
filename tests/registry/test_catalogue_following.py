"""The index of many skills: what a server changed is seen at once, and no request waits until all is looked through."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm_registry.catalogue import following
from skillpm_registry.catalogue.catalogue import Catalogue
from tests.index.signed_shop import release


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """A registry with one skill."""
    make_registry(tmp_path / "shop", "shop")
    registry = FolderRegistry(tmp_path / "shop", "shop")
    registry.add(*release("demo", "1.0"))
    return registry


def versions(catalogue: Catalogue) -> dict[str, str]:
    return {row.name: row.version for row in catalogue.rows()}


def test_a_noted_page_alone_is_indexed_before_the_folder_is_looked_at(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    monkeypatch.setattr(following, "_PAUSE", 3600.0)
    catalogue.refresh()
    before = catalogue.stamp()
    registry.add(*release("demo", "1.1"))
    registry.add(*release("other", "1.0"))
    assert versions(catalogue) == {"demo": "1.0"}
    catalogue.note("demo")
    assert versions(catalogue) == {"demo": "1.1"}, "the other one was not noted"
    assert catalogue.stamp() != before, "pages that were rendered before do not count any more"


def test_no_request_waits_for_a_slow_look(registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_SLOW", -1.0)
    monkeypatch.setattr(following, "_PAUSE", 0.0)
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    registry.add(*release("other", "1.0"))
    os.utime(registry.root / "skills")
    end = time.monotonic() + 20
    seen = versions(catalogue)
    while len(seen) < 2 and time.monotonic() < end:
        time.sleep(0.01)
        seen = versions(catalogue)
    assert seen == {"demo": "1.0", "other": "1.0"}

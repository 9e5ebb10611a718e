"""The listing of a folder: a summary is used where no page is younger, and is never believed over a page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.pages import read_listing
from tests.index.signed_shop import SignedShop, release


def listed(shop: Path) -> dict[str, str]:
    return {line.name: line.version for line in DirectoryIndex(shop, "shop").listings()}


def test_pages_that_are_older_than_the_listing_are_not_read_again(shop: Path) -> None:
    whole = listed(shop)
    page = shop / "skills/plain.json"
    page.write_text("{")
    os.utime(page, (1, 1))

    assert listed(shop) == whole


def test_a_page_that_is_younger_than_the_listing_is_what_counts(shop: Path) -> None:
    whole = listed(shop)
    document = json.loads((shop / "listing.json").read_text())
    document["skills"] = [{**item, "version": "0.0"} for item in document["skills"] if item["name"] != "top"]
    (shop / "listing.json").write_text(json.dumps(document))
    os.utime(shop / "listing.json", (1, 1))
    assert listed(shop) == whole
    (shop / "listing.json").write_text("{")
    assert listed(shop) == whole
    (shop / "listing.json").unlink()
    assert listed(shop) == whole


def test_a_page_that_changes_while_the_listing_is_made_is_younger_than_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_registry(tmp_path / "shop", "shop")
    registry, write = FolderRegistry(tmp_path / "shop", "shop"), FolderRegistry.write
    registry.publish(*release("demo", "1.0"))

    def late(own: FolderRegistry, path: str, data: Any, **options: Any) -> None:
        if path == "listing.json":
            monkeypatch.undo()
            registry.add(*release("demo", "1.1"))
        write(own, path, data, **options)

    monkeypatch.setattr(FolderRegistry, "write", late)
    registry.publish(*release("other", "1.0"))
    assert listed(registry.root) == {"demo": "1.1", "other": "1.0"}
    summary = json.loads((registry.root / "listing.json").read_bytes())["skills"]
    assert [item["version"] for item in summary] == ["1.1", "1.0"]


def test_a_listing_of_a_signed_folder_is_not_believed(tmp_path: Path) -> None:
    """Whoever can write a file into the folder has no key, so what nobody signed is not read."""
    shop = SignedShop.make(tmp_path)
    shop.publish()
    (shop.root / "listing.json").write_text('{"listing": 1, "skills": [{"name": "demo", "version": "9.0"}]}')
    index = DirectoryIndex(shop.root, "shop", lambda place, fetch: shop.client(tmp_path / "seen"))
    assert [line.version for line in index.listings()] == ["1.0"]


def test_bytes_alone_limit_a_listing() -> None:
    lines = ",\n".join(f'{{"name": "s{number}", "version": "1.0", "summary": ""}}' for number in range(100_001))
    assert len(read_listing(f'{{"listing": 1, "skills": [\n{lines}\n]}}\n'.encode(), "a registry")) == 100_001


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 30_000,
        '{"listing": 1, "skills": [\n3\n]}\n',
        '{"listing": 1, "skills": [\n{"name": []}\n]}\n',
        '{"listing": 1, "skills": [{"name": "plain", "version": "9"}]}',
        '{"listing": 1, "skills": [\n{"name": "plain",\n"version": "9"}\n]}\n',
    ],
)
def test_a_listing_in_another_form_is_made_again(shop: Path, text: str) -> None:
    listing = shop / "listing.json"
    FolderRegistry(shop, "shop").list_again()
    whole = listing.read_bytes()
    listing.write_text(text)
    FolderRegistry(shop, "shop").list_again()
    assert listing.read_bytes() == whole

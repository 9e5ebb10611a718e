"""A registry in a folder, read from a local or mounted disk.

``config.json``, ``skills/[owner/]NAME.json`` (a Page) and ``archives/ab/cdef….tar.gz``. Any static server can serve it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import RegistryError
from skillpm.formats.gathered import Bytes, read_file
from skillpm.index.pages import (
    LISTING,
    MAX_LISTING,
    MAX_PAGE,
    archive_path,
    largest_archive,
    page_path,
    read_config,
    read_listing,
    read_page,
)
from skillpm.model.name import is_name
from skillpm.model.release import Listing, Page, RegistryConfig, Release

if TYPE_CHECKING:
    from skillpm.index.signed_pages import OpenSigned, SignedPages


class DirectoryIndex:
    """A registry folder; ``name`` is the source in a lock. Without ``signed``, no signature of it is checked."""

    made_here = False
    remote = False

    def __init__(self, root: Path, name: str, signed: OpenSigned | None = None) -> None:
        self.name = name
        self.root = root
        self._open_signed = signed

    @cached_property
    def config(self) -> RegistryConfig:
        """config.json. Raises RegistryError if the folder is not a registry."""
        if not self.root.is_dir():
            raise RegistryError(
                f"registry {self.root} is not a folder",
                hint="check the path, or make a registry there with `skillpm registry init`",
            )
        return read_config(self._read("config.json", MAX_PAGE), f"registry {self.root}")

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None if it is unknown. Raises RegistryError, IntegrityError."""
        path = page_path(name)
        if self.config.registry and self._signed is not None:
            data = self._signed.page(name)
            return None if data is None else read_page(data, name, f"registry {self.root}", logged=True)
        if self.config.registry and not (self.root / path).is_file():
            return None
        return read_page(self._read(path, MAX_PAGE), name, f"registry {self.root}")

    def names(self) -> list[str]:
        """Return all names with a page."""
        return sorted(name for name, _ in pages_below(self.root / "skills") if is_name(name))

    def listings(self) -> Iterator[Listing]:
        """Yield every name with its newest release, out of listing.json if the page is older. Raises RegistryError.

        Nobody signs listing.json, so the checked pages alone count in a signed registry.
        """
        listed, written = self._summary() if self.config.registry and self._signed is None else ({}, 0)
        for name, changed in sorted(pages_below(self.root / "skills")):
            if changed < written and name in listed:
                yield listed[name]
            elif is_name(name):
                page = self.page(name)
                if page is not None and (listing := page.listing()):
                    yield listing

    def _summary(self) -> tuple[dict[str, Listing], int]:
        """Return listing.json by names, and the time when it was written; nothing if it is missing or damaged."""
        with contextlib.suppress(OSError, RegistryError):
            written = (self.root / LISTING).stat().st_mtime_ns
            lines = read_listing(self._read(LISTING, MAX_LISTING), f"registry {self.root}")
            return {line.name: line for line in lines}, written
        return {}, 0

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive's bytes, unchecked. Raises RegistryError if it is missing or too large."""
        return self._content(archive_path(release.archive), largest_archive(release))

    def demand_logged(self, name: str, release: Release) -> None:
        """Check the proof of a release if the registry is signed. Raises IntegrityError, RegistryError."""
        if self._signed is not None:
            self._signed.demand_logged(name, release)

    @cached_property
    def _signed(self) -> SignedPages | None:
        pages = self._open_signed(str(self.root.resolve()), self._fetch) if self._open_signed else None
        return pages if pages is not None and (self.config.signed is not None or pages.pinned) else None

    def _fetch(self, path: str, limit: int) -> bytes | None:
        return self._read(path, limit) if (self.root / path).is_file() else None

    def _read(self, path: str, limit: int) -> bytes:
        return bytes(self._content(path, limit))

    def _content(self, path: str, limit: int) -> Bytes:
        try:
            with (self.root / path).open("rb") as file:
                data = read_file(file, limit)
        except OSError as error:
            raise RegistryError(
                f"registry {self.root}: {path} cannot be read: {error.strerror}",
                hint="a registry is a folder with config.json, skills/ and archives/",
            ) from None
        if len(data) > limit:
            raise RegistryError(
                f"registry {self.root}: {path} is larger than {limit} bytes", hint="tell the registry's maintainer"
            )
        return data


def pages_below(folder: Path, owner: str = "") -> Iterator[tuple[str, int]]:
    """Yield what the pages of a folder and of its owners' folders are called, and when each was changed."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                yield owner + entry.name[:-5], entry.stat().st_mtime_ns
            elif not owner:
                yield from pages_below(Path(entry.path), f"{entry.name}/")

"""A registry in a folder, read from a local or mounted disk.

``config.json``, ``skills/[owner/]NAME.json`` (a Page) and ``archives/ab/cdef….tar.gz``. Any static server can serve it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from skillpm.errors import RegistryError
from skillpm.formats.gathered import Bytes, read_file
from skillpm.index.pages import KEEPER, LISTING, MAX_LISTING, MAX_PAGE, largest_archive, read_listing
from skillpm.index.paths import archive_path
from skillpm.index.registry import RegistryIndex
from skillpm.model.name import is_name
from skillpm.model.release import Listing, Release

if TYPE_CHECKING:
    from skillpm.index.signed_pages import OpenSigned


class DirectoryIndex(RegistryIndex):
    """A registry folder; ``name`` is the source in a lock. Without ``signed``, no signature of it is checked."""

    remote = False

    def __init__(self, root: Path, name: str, signed: OpenSigned | None = None) -> None:
        super().__init__(name, f"registry {root}", signed(os.path.realpath(root), self._fetch) if signed else None)
        self.root = root

    def names(self) -> list[str]:
        """Return all names with a page."""
        return sorted(name for name, _ in pages_below(self.root / "skills") if is_name(name))

    def listings(self) -> Iterator[Listing]:
        """Yield every name with its newest release, out of listing.json if the page is older. Raises RegistryError.

        Nobody signs listing.json, so the checked pages alone count in a signed registry.
        """
        listed, written = self._summary() if self._open()[1] is None else ({}, 0)
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
            lines = read_listing(self._read(LISTING, MAX_LISTING), self._label)
            return {line.name: line for line in lines}, written
        return {}, 0

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive's bytes, unchecked. Raises RegistryError if it is missing or too large."""
        return self._content(archive_path(release.archive), largest_archive(release))

    def _config(self) -> bytes:
        if not self.root.is_dir():
            raise RegistryError(
                f"{self._label} is not a folder",
                hint=f"check the path, or make a registry there with `skillpm registry init {quote(str(self.root))}`",
            )
        return self._read("config.json", MAX_PAGE)

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
                f"{self._label}: {path} cannot be read: {error.strerror}",
                hint="a registry is a folder with config.json, skills/ and archives/",
            ) from None
        if len(data) > limit:
            raise RegistryError(f"{self._label}: {path} is larger than {limit} bytes", hint=KEEPER)
        return data


def pages_below(folder: Path, owner: str = "") -> Iterator[tuple[str, int]]:
    """Yield what the pages of a folder and of its owners' folders are called, and when each was changed."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                yield owner + entry.name[:-5], entry.stat().st_mtime_ns
            elif not owner:
                yield from pages_below(Path(entry.path), f"{entry.name}/")

"""A registry, whatever brings its documents: config.json, a page for each name, the archives.

Its signatures decide what a page says if config.json says that it is signed, or if it must be (``SignedPages.pinned``).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from skillpm.index.pages import MAX_PAGE, read_config, read_page
from skillpm.index.paths import page_path
from skillpm.model.release import Page, RegistryConfig, Release

if TYPE_CHECKING:
    from skillpm.index.signed_pages import SignedPages


class RegistryIndex(ABC):
    """A registry, which threads may share.

    Args:
        name: the source in a lock.
        label: what messages call it.
        signed: its pages by their signatures; without them, no signature is checked.
    """

    made_here = False

    def __init__(self, name: str, label: str, signed: SignedPages | None) -> None:
        self.name = name
        self._label = label
        self._signed = signed
        self._opening = threading.Lock()
        self._opened: tuple[RegistryConfig, SignedPages | None] | None = None

    @property
    def config(self) -> RegistryConfig:
        """config.json. Raises RegistryError if this is not a registry."""
        return self._open()[0]

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None if it is unknown. Raises RegistryError, IntegrityError."""
        _, signed = self._open()
        data = self._document(page_path(name)) if signed is None else self._signed_page(name, signed)
        return None if data is None else read_page(data, name, self._label, logged=signed is not None)

    def demand_logged(self, name: str, release: Release) -> None:
        """Check the proof of a release if the registry is signed. Raises IntegrityError, RegistryError."""
        _, signed = self._open()
        if signed is not None:
            signed.demand_logged(name, release)

    def _open(self) -> tuple[RegistryConfig, SignedPages | None]:
        """Read config.json once, so that a mistyped place does not look like a registry without the name."""
        with self._opening:
            if self._opened is None:
                config, signed = read_config(self._config(), self._label), self._signed
                is_signed = signed is not None and (config.signed is not None or signed.pinned)
                self._opened = config, signed if is_signed else None
            return self._opened

    @abstractmethod
    def _config(self) -> bytes:
        """Return config.json. Raises RegistryError if there is none."""

    @abstractmethod
    def _fetch(self, path: str, limit: int) -> bytes | None:
        """Return the bytes of a path, at most so many, or None if there is no such file. Raises RegistryError."""

    def _document(self, path: str) -> bytes | None:
        """Return a document that nobody signs, or None if there is none. Raises RegistryError."""
        return self._fetch(path, MAX_PAGE)

    def _signed_page(self, name: str, signed: SignedPages) -> bytes | None:
        """Return the page that the registry's keys signed, or None. Raises IntegrityError, RegistryError."""
        return signed.page(name)

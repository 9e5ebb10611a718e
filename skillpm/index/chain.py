"""Several indexes, asked in order: the first that knows a name answers for it alone.

Releases of one name are never merged from several indexes: whoever may publish to one of them could otherwise shadow
the skills of another (dependency confusion).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from skillpm.errors import RegistryError
from skillpm.model.name import near_names
from skillpm.model.release import Page, Release

if TYPE_CHECKING:
    from skillpm.model.ports import Index

_AT_ONCE = 8


class ChainIndex:
    """An ordered list of indexes that is an index itself."""

    made_here = False

    def __init__(self, indexes: Sequence[Index]) -> None:
        self.name = ", ".join(index.name for index in indexes)
        self._indexes = tuple(indexes)
        self._found: dict[str, tuple[Index, Page] | None] = {}
        self.remote = any(index.remote for index in indexes)

    def page(self, name: str) -> Page | None:
        """Return the page of the first index that knows the name. Raises RegistryError."""
        found = self._find(name)
        return found[1] if found else None

    def source(self, name: str) -> Index | None:
        """Return the index that answers for a name. Raises RegistryError."""
        found = self._find(name)
        return found[0] if found else None

    def names(self) -> list[str]:
        """Return the names of all indexes that can list theirs."""
        return sorted({name for index in self._indexes for name in index.names()})

    @property
    def indexes(self) -> tuple[Index, ...]:
        """The indexes, in their order."""
        return self._indexes

    def near(self, name: str) -> list[str]:
        """Return known names that a person may have meant."""
        return near_names(name, self.names())

    def prefetch(self, names: Iterable[str]) -> None:
        """Look names up, and what their newest releases require, all at once where that saves round trips.

        Raises:
            RegistryError: an index failed for one of ``names``.
        """
        if not self.remote:
            return
        from skillpm.index.transport import round_trips

        with round_trips(_AT_ONCE) as pool:
            wave = set(names)
            pages = list(pool.map(self.page, sorted(wave)))
            while wave:
                newest = (page.newest_first()[0] for page in pages if page and page.releases)
                wave = {name for release in newest for name in release.requires} - self._found.keys()
                pages = list(pool.map(self._page_if_there, sorted(wave)))

    def _page_if_there(self, name: str) -> Page | None:
        """Return a page that may not even be needed: a failure is told only to whom asks for it."""
        with contextlib.suppress(RegistryError):
            return self.page(name)
        return None

    def archive(self, name: str, release: Release) -> bytes:
        """Return the archive from the index that answers for the name. Raises RegistryError."""
        index = self.source(name)
        if index is None:
            raise RegistryError(f"no registry knows `{name}`")
        return index.archive(name, release)

    def _find(self, name: str) -> tuple[Index, Page] | None:
        if name not in self._found:
            pages = ((index, page) for index in self._indexes if (page := index.page(name)) is not None)
            self._found[name] = next(pages, None)
        return self._found[name]

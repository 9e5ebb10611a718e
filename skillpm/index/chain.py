"""Several indexes in order: the first that has a name is its only source.

Releases of one name are never merged from several indexes. Otherwise, anyone who can publish to one index could shadow
the skills of another (dependency confusion).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from skillpm.errors import PolicyError, RegistryError
from skillpm.model.name import near_names
from skillpm.model.release import Page

if TYPE_CHECKING:
    from skillpm.model.ports import Index

_AT_ONCE = 8


class ChainIndex:
    """An ordered tuple ``indexes``, each asked for what those before it do not have."""

    def __init__(self, indexes: Sequence[Index]) -> None:
        self.indexes = tuple(indexes)
        self._pages: dict[str, tuple[Index, Page] | None] = {}

    def page(self, name: str) -> Page | None:
        """Return the page of the first index that has the name. Raises RegistryError."""
        entry = self._find(name)
        return entry[1] if entry else None

    def source(self, name: str) -> Index | None:
        """Return the first index that has the name. Raises RegistryError."""
        entry = self._find(name)
        return entry[0] if entry else None

    def names(self) -> list[str]:
        """Return the names of all indexes that list their skills."""
        return sorted({name for index in self.indexes for name in index.names()})

    def near(self, name: str) -> list[str]:
        """Return known names similar to a name."""
        return near_names(name, self.names())

    def prefetch(self, names: Iterable[str]) -> None:
        """Look up names, then the dependencies of their newest releases, in waves of parallel requests.

        The resolver asks for one page after the other. Over a network, that is one round trip for each level and name.
        Here each wave asks for all names of one level at once, so the resolver finds its pages in memory. The guess
        that newest releases are chosen may fetch a page too many; it never changes the result.

        Raises:
            RegistryError: an index failed for one of ``names``.
        """
        if not any(index.remote for index in self.indexes):
            return
        from skillpm.index.transport import round_trips

        with round_trips(_AT_ONCE) as pool:
            wave = set(names)
            pages = list(pool.map(self.page, sorted(wave)))
            while wave:
                newest = (page.newest_first()[0] for page in pages if page and page.releases)
                wave = {name for release in newest for name in release.requires} - self._pages.keys()
                pages = list(pool.map(self._guessed_page, sorted(wave)))

    def _guessed_page(self, name: str) -> Page | None:
        """Return a page that may not be needed. A failure is raised only when the page is requested."""
        with contextlib.suppress(RegistryError, PolicyError):
            return self.page(name)
        return None

    def _find(self, name: str) -> tuple[Index, Page] | None:
        if name not in self._pages:
            pages = ((index, page) for index in self.indexes if (page := index.page(name)) is not None)
            self._pages[name] = next(pages, None)
        return self._pages[name]

"""The bundled skills as an index."""

from __future__ import annotations

from collections.abc import Iterator

from skillpm.errors import RegistryError
from skillpm.formats.gathered import Bytes
from skillpm.index.path import TreeIndex
from skillpm.index.shipped import bundled_skills
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree, Tree
from skillpm.model.release import Listing, Page, Release
from skillpm.model.source import BUNDLED


class BundledIndex:
    """The bundled registry, which needs no network and no configuration."""

    made_here = True
    remote = False

    def __init__(self) -> None:
        self.name = str(BUNDLED)
        self._opened: dict[str, TreeIndex] = {}

    def page(self, name: str) -> Page | None:
        """Return the one bundled release. Raises LayoutError."""
        index = self._index(name)
        return index.page(name) if index else None

    def names(self) -> list[str]:
        """Return the names of the bundled skills."""
        return list(bundled_skills())

    def listings(self) -> Iterator[Listing]:
        """Yield the bundled skills without packing them. Raises LayoutError."""
        for name, folder in bundled_skills().items():
            description = describe(FolderTree(folder))
            yield Listing(name, description.version, description.description)

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive. Raises RegistryError and LockOutOfDateError like ``files``."""
        return self._shipped(name).archive(name, release)

    def files(self, name: str, release: Release) -> Tree:
        """Return the skill. Raises RegistryError; LockOutOfDateError if this skillpm bundles another release."""
        return self._shipped(name).files(name, release)

    def _shipped(self, name: str) -> TreeIndex:
        index = self._index(name)
        if index is None:
            raise RegistryError(f"there is no bundled skill `{name}`")
        return index

    def _index(self, name: str) -> TreeIndex | None:
        folder = bundled_skills().get(name)
        if folder is None:
            return None
        return self._opened.setdefault(name, TreeIndex(self.name, lambda: FolderTree(folder, keep=True), name))

"""An archive on the local disk, as skillpm writes it: an index of one name with one release."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from skillpm.errors import RegistryError, UsageError
from skillpm.index.pages import MAX_ARCHIVE
from skillpm.index.path import TreeIndex
from skillpm.layout.tree import Tree

__all__ = ["ArchiveIndex", "Unpack"]

Unpack = Callable[[bytes], Tree]


class ArchiveIndex(TreeIndex):
    """A file that ends with ``.tar.gz``.

    Args:
        file: where it lies.
        name: what a lock calls this source: ``archive:../mine-1.0.tar.gz``.
        unpack: how an archive becomes a tree; raises IntegrityError.
    """

    made_here = False

    def __init__(self, file: Path, name: str, unpack: Unpack) -> None:
        super().__init__(name, lambda: unpack(self._bytes), lambda tree: self._bytes, str(file))
        self.file = file

    @cached_property
    def _bytes(self) -> bytes:
        try:
            with self.file.open("rb") as file:
                data = file.read(MAX_ARCHIVE + 1)
        except OSError as error:
            raise UsageError(f"{self.file} cannot be read: {error.strerror}", hint="check the path") from None
        if len(data) > MAX_ARCHIVE:
            raise RegistryError(f"{self.file} is larger than {MAX_ARCHIVE} bytes", hint="no skill's archive is")
        return data

"""Rows of bytes that stay in a file and are read one at a time."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import weakref
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, overload

from skillpm.storage.files import DiskErrors

_IN_MEMORY = 1 << 20  # bytes of rows that need no file


class _OpenFile:
    """A file that is open as long as rows of it are in use; ``turn`` is held by the thread that moves its position."""

    def __init__(self, file: IO[bytes]) -> None:
        self.turn = threading.Lock()
        weakref.finalize(self, close_temporary, file)


def close_temporary(file: IO[bytes]) -> None:
    """Close a temporary file that nobody reads any more: a full disk does not take its last lines, or refused them."""
    with contextlib.suppress(OSError):
        file.close()


class FileRows(Sequence[bytes]):
    """Rows in a file; the place of each is in memory, which takes 12 bytes. Threads may share them.

    Attributes:
        file: holds the rows, and may hold anything between them.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self._open = _OpenFile(file)
        self._starts = array("Q")
        self._lengths = array("I")

    @classmethod
    def temporary(cls) -> FileRows:
        """Return no rows yet, in a file that is gone with them."""
        return cls(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))

    def append(self, row: bytes) -> None:
        """Write a row at the end of the file. Raises StorageError."""
        with self._open.turn, DiskErrors("write rows to", Path(tempfile.gettempdir())):
            start = self.file.seek(0, 2)
            self.file.write(row)
        self.place(start, len(row))

    def place(self, start: int, length: int) -> None:
        """Add a row that is in the file already."""
        self._starts.append(start)
        self._lengths.append(length)

    def picked(self, places: Iterable[int]) -> FileRows:
        """Return the rows at some places, in the same file."""
        rows = FileRows.__new__(FileRows)
        rows.file, rows._open = self.file, self._open
        rows._starts, rows._lengths = array("Q"), array("I")
        for place in places:
            rows.place(self._starts[place], self._lengths[place])
        return rows

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> FileRows: ...
    def __getitem__(self, place: int | slice) -> bytes | FileRows:
        if isinstance(place, slice):
            return self.picked(range(*place.indices(len(self))))
        # what waits to be written is written first
        with self._open.turn, DiskErrors("read rows from", Path(tempfile.gettempdir())):
            self.file.seek(self._starts[place])
            return self.file.read(self._lengths[place])

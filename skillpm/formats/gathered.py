"""Bytes that come in pieces: a few MiB are kept in memory, more in a temporary file without a name.

Such a file is mapped, so its bytes can be cut, hashed and sent like others, and the system keeps in memory only what is
just being read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, BinaryIO

from skillpm.errors import StorageError

if TYPE_CHECKING:
    import zlib

Bytes = bytes | mmap
IN_MEMORY = 32 << 20  # bytes; more than any archive of a skill
PIECE = 1 << 20  # bytes


class Gathering:
    """Bytes to which pieces are added."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._file: BinaryIO | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget what was added."""
        if self._file is not None:
            self._file.close()
        self._parts, self._file, self._size = [], None, 0

    def __del__(self) -> None:
        self.clear()  # whoever has the bytes has a mapping of their own

    def add(self, piece: bytes) -> None:
        """Add a piece. Raises StorageError if there is no room for it."""
        self._size += len(piece)
        self._parts.append(piece)
        if self._size > IN_MEMORY:
            self._move()

    def value(self) -> Bytes:
        """Return all bytes. Raises StorageError."""
        if self._file is None:
            return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        try:
            self._file.flush()
            return mmap(self._file.fileno(), 0, access=ACCESS_READ)
        except OSError as error:
            raise _refused(error) from None

    def _move(self) -> None:
        """Move what is in memory into the file."""
        import tempfile

        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `clear` closes it
            self._file.writelines(self._parts)
        except OSError as error:
            raise _refused(error) from None
        self._parts.clear()


def gathered(pieces: Iterable[bytes]) -> Bytes:
    """Return the bytes of all pieces. Raises StorageError if there is no room for them."""
    gathering = Gathering()
    for piece in pieces:
        gathering.add(piece)
    return gathering.value()


def read_file(file: BinaryIO, limit: int) -> Bytes:
    """Return the content of an open file, or more than ``limit`` bytes of it. Raises OSError."""
    if not IN_MEMORY < os.fstat(file.fileno()).st_size <= limit:
        return file.read(limit + 1)
    return mmap(file.fileno(), 0, access=ACCESS_READ)


def inflated(data: Bytes, decompressor: zlib._Decompress, most: int) -> Iterator[bytes]:
    """Yield what a decompressor makes of bytes, at most ``most`` bytes. Raises zlib.error.

    ``unused_data`` of the decompressor then says whether there are bytes after its end.
    """
    for start in range(0, len(data), PIECE):
        waiting = data[start : start + PIECE]
        while waiting and most and not decompressor.eof:
            piece = decompressor.decompress(waiting, min(most, PIECE))
            waiting = decompressor.unconsumed_tail
            most -= len(piece)
            yield piece
        if decompressor.eof:
            decompressor.decompress(data[start + PIECE : start + PIECE + 1])
            return


def pieces_of(data: Bytes | memoryview) -> Iterator[bytes]:
    """Yield bytes in pieces."""
    if isinstance(data, bytes):
        yield data
        return
    for start in range(0, len(data), PIECE):
        yield bytes(data[start : start + PIECE])


def _refused(error: OSError) -> StorageError:
    import tempfile

    return StorageError(
        f"cannot write a temporary file in {tempfile.gettempdir()}: {error.strerror}",
        hint="free some space, or set TMPDIR to a folder with more of it",
    )

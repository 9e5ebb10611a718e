"""Lines on disk for one computation whose data may not fit in memory, read again from the first to the last."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from skillpm.model.order import shuffle
from skillpm.storage.file_rows import close_temporary
from skillpm.storage.files import DiskErrors

_BUFFER = 1 << 16  # bytes that are written at once
_BLOCK = 1 << 18  # and read
_LINES = 1 << 12  # that are written to several files at once
_PART = 1 << 20  # bytes of lines that are shuffled in memory
_MOST_BITS = 7  # of the number of files that are open at once: beyond 128 MiB of lines, parts are larger


class TemporaryLines:
    """Lines in a file without a name, in the folder for temporary files (``TMPDIR``); it is gone with the object.

    Each line ends with a line feed, and holds no other end of a line.

    Attributes:
        size: in bytes.

    Raises:
        StorageError: the disk refused; every method raises it too.
    """

    def __init__(self) -> None:
        self.size = 0
        self._errors = DiskErrors("write rows to", Path(tempfile.gettempdir()))
        with self._errors:
            self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115  it is open as long as the object
        weakref.finalize(self, close_temporary, self._file)

    def append(self, lines: bytes) -> None:
        """Add one or several lines."""
        with self._errors:
            self._file.write(lines)
        self.size += len(lines)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines that are there now."""
        rest = b""
        for block in self.blocks():
            lines = (rest + block).splitlines(keepends=True)
            rest = b"" if block.endswith(b"\n") else lines.pop()
            yield from lines

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes that are there now, in parts that may end inside a line."""
        with self._errors:
            self._file.flush()
        end, place = self.size, 0
        while place < end:
            with self._errors:
                block = os.pread(self._file.fileno(), min(_BLOCK, end - place), place)
            place += len(block)
            yield block


def shuffled(lines: Iterable[bytes], size: int, bits: Callable[[int], int]) -> Iterator[list[bytes]]:
    """Yield lines in an order by chance, in parts that fit in memory.

    Each line goes to one of several files by chance, and each file is shuffled by itself, which makes every order as
    likely as any other (Rao, 1961; Sandelius, 1962).

    Args:
        lines: in a fixed order.
        size: of all together in bytes, about.
        bits: returns a number of so many random bits, such as ``random.Random(seed).getrandbits``.

    Raises:
        StorageError: the disk refused.
    """
    choice = min((size // _PART).bit_length(), _MOST_BITS)
    files = [TemporaryLines() for _ in range(1 << choice)]
    rest = iter(lines)
    while some := [*islice(rest, _LINES)]:
        chosen: list[list[bytes]] = [[] for _ in files]
        for line in some:
            chosen[bits(choice)].append(line)
        for file, part in zip(files, chosen, strict=True):
            file.append(b"".join(part))
    while files:
        part = [*files.pop()]
        shuffle(part, bits)
        yield part

"""Rows on disk while a synthesis runs, so that its memory does not grow with the length of its texts.

The files have no name and are gone with the objects that hold them. They lie in the folder for temporary files
(``TMPDIR``).
"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from skillpm.model.task import Message, Origin, Task
from skillpm.storage.files import DiskErrors

_AT_ONCE = 2048  # bytes that are read for a row; most are shorter
_LENGTH = 4  # bytes in front of a row
_FAMILIES = 1 << 20  # a place holds an offset and, below it, the number of a family


class StoredRow(NamedTuple):
    """A row that passed every gate.

    Attributes:
        request: its length in characters.
        answer: the length of the text of its expected answer.
        target: digest of that text.
        values: that the request shows, by slot.
        line: its task as a line of JSON in ASCII.
    """

    family: str
    expected: Any
    request: int
    answer: int
    target: bytes
    values: dict[str, Any] | None
    line: bytes


class RowStore:
    """Rows on disk, with the digest of the form and the place of each in memory.

    Attributes:
        places: by digest, in the order in which the rows came.
    """

    def __init__(self) -> None:
        self.places: dict[bytes, int] = {}
        self._folder = Path(tempfile.gettempdir())
        self._families: dict[tuple[str, Origin], int] = {}
        self._origins: list[tuple[str, Origin]] = []
        self._end = 0
        with DiskErrors("write rows to", self._folder):
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by the finaliser
        weakref.finalize(self, self._file.close)

    def add(self, key: bytes, row: StoredRow, origin: Origin) -> None:
        """Keep a row. Raises StorageError."""
        family = (row.family, origin)
        number = self._families.setdefault(family, len(self._origins))
        if number == len(self._origins):
            self._origins.append(family)
        data = marshal.dumps(tuple(row))
        with DiskErrors("write rows to", self._folder):
            self._file.write(len(data).to_bytes(_LENGTH) + data)
        self.places[key] = self._end * _FAMILIES + number
        self._end += _LENGTH + len(data)

    def drop(self, key: bytes) -> str:
        """Forget a row, and return its family."""
        return self._origins[self.places.pop(key) % _FAMILIES][0]

    def split_by_origin(self) -> tuple[array[int], array[int]]:
        """Return the offsets of the seeds and those of the other rows, each in order. Raises StorageError."""
        with DiskErrors("write rows to", self._folder):
            self._file.flush()
        seeds, others = array("q"), array("q")
        for place in self.places.values():
            offset, number = divmod(place, _FAMILIES)
            (seeds if self._origins[number][1] == "seed" else others).append(offset)
        return seeds, others

    def at(self, offset: int) -> StoredRow:
        """Return the row at an offset of ``split_by_origin``."""
        data = os.pread(self._file.fileno(), _AT_ONCE, offset)
        end = _LENGTH + int.from_bytes(data[:_LENGTH])
        if end > len(data):
            data += os.pread(self._file.fileno(), end - len(data), offset + len(data))
        return StoredRow(*marshal.loads(data[_LENGTH:end]))  # noqa: S302  only this process can write the file


class TaskLines:
    """The tasks of one side in their order, as lines of JSON in ASCII; they are read from disk again each time.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[tuple[RowStore, array[int]]] = []
        self._digest = hashlib.sha256()

    def rows(self, store: RowStore, offsets: array[int]) -> Iterator[StoredRow]:
        """Take rows over, and yield them."""
        self._parts.append((store, offsets))
        for offset in offsets:
            row = store.at(offset)
            self._digest.update(row.line)
            self.count += 1
            yield row

    @property
    def digest(self) -> str:
        """SHA-256 of all lines."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines."""
        return (store.at(offset).line for store, offsets in self._parts for offset in offsets)

    def write(self, path: Path) -> None:
        """Write the lines to a new file. Raises StorageError."""
        with DiskErrors("write", path), path.open("xb") as file:
            file.writelines(self)

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks."""
        for line in self:
            document = json.loads(line)
            messages = tuple(Message.made(**message) for message in document["prompt"])
            yield Task.made(**document | {"prompt": messages, "tags": tuple(document["tags"])})

"""Rows on disk while a synthesis runs, so that its memory does not grow with the number of rows.

A few numbers for each row, of its place and its ends, are all that is kept of it: 24 bytes.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from skillpm.model.task import Origin, Task
from skillpm.storage.files import DiskErrors
from skillpm.storage.temporary_database import DigestMap
from skillpm.storage.temporary_records import TemporaryRecords


class StoredRow(NamedTuple):
    """A row that passed every gate.

    Attributes:
        request: its length in characters.
        answer: the length of the text of its expected answer.
        target: digest of that text.
        values: that the request shows, by slot.
    """

    family: str
    expected: Any
    request: int
    answer: int
    target: bytes
    values: dict[str, Any] | None


class RowStore:
    """Rows on disk, found again by the digest of their form."""

    def __init__(self) -> None:
        self._rows, self._lines = TemporaryRecords(), TemporaryRecords()
        self._places = DigestMap()
        self._seeds, self._others = array("q"), array("q")
        self._dropped: set[int] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows) - len(self._dropped)

    def __contains__(self, key: bytes) -> bool:
        """Is there a row of this form?"""
        return key in self._places

    def __iter__(self) -> Iterator[bytes]:
        """Yield the digests of the forms, in their order."""
        return iter(self._places)

    def add(self, key: bytes, row: StoredRow, line: bytes, origin: Origin) -> None:
        """Keep a row, and its task as a line of JSON in ASCII. Raises StorageError."""
        place = self._places[key] = len(self._rows)
        self._rows.append(marshal.dumps(tuple(row)))
        self._lines.append(line)
        (self._seeds if origin == "seed" else self._others).append(place)

    def drop(self, key: bytes) -> str | None:
        """Forget a row, and return its family; None where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        self._places[key] = None
        self._dropped.add(place)
        return self.at(place).family

    def split_by_origin(self) -> tuple[array[int], array[int]]:
        """Return the places of the seeds and those of the other rows, each in order."""
        seeds, others = (
            array("q", (place for place in places if place not in self._dropped))
            for places in (self._seeds, self._others)
        )
        return seeds, others

    def at(self, place: int) -> StoredRow:
        """Return the row at a place of ``split_by_origin``. Raises StorageError."""
        return StoredRow(*marshal.loads(self._rows[place]))  # noqa: S302  only this process can write the file

    def line(self, place: int) -> bytes:
        """Return the line of the row at a place. Raises StorageError."""
        return self._lines[place]


class TaskLines:
    """The tasks of one side in their order, as lines of JSON in ASCII; they are read from disk again each time.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[tuple[RowStore, array[int]]] = []
        self._digest = hashlib.sha256()

    def rows(self, store: RowStore, places: array[int]) -> Iterator[StoredRow]:
        """Take rows over, and yield them."""
        self._parts.append((store, places))
        for place in places:
            self._digest.update(store.line(place))
            self.count += 1
            yield store.at(place)

    @property
    def digest(self) -> str:
        """SHA-256 of all lines."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines."""
        return (store.line(place) for store, places in self._parts for place in places)

    def write(self, path: Path) -> None:
        """Write the lines to a new file. Raises StorageError."""
        with DiskErrors("write", path), path.open("xb") as file:
            file.writelines(self)
            file.flush()
            os.fsync(file.fileno())

    def tasks(self) -> Iterator[Task]:
        """Return the tasks."""
        from skillpm.worker.protocol import task_of

        return map(task_of, map(json.loads, self))

"""Rows on disk while a synthesis runs, so that its memory does not grow with the number of rows.

A number for each row, of its place, is all that is kept of it: eight bytes.
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
from skillpm.storage.temporary_database import TemporaryDatabase


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
    """Rows on disk, found again by the digest of their form."""

    def __init__(self) -> None:
        self._database = TemporaryDatabase(
            "CREATE TABLE kept (place INTEGER PRIMARY KEY, form BLOB UNIQUE, family TEXT, origin TEXT, row BLOB)"
        )
        self._count = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __contains__(self, key: bytes) -> bool:
        """Is there a row of this form?"""
        return self._database.run("SELECT 1 FROM kept WHERE form = ?", (key,)).fetchone() is not None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the digests of the forms, in the order of the rows."""
        return (key for (key,) in self._database.run("SELECT form FROM kept ORDER BY place"))

    def add(self, key: bytes, row: StoredRow, origin: Origin) -> None:
        """Keep a row. Raises StorageError."""
        values = (key, row.family, origin, marshal.dumps(tuple(row)))
        self._database.run("INSERT INTO kept (form, family, origin, row) VALUES (?, ?, ?, ?)", values)
        self._count += 1

    def drop(self, key: bytes) -> str | None:
        """Forget a row, and return its family; None where there is none."""
        dropped = self._database.run("DELETE FROM kept WHERE form = ? RETURNING family", (key,)).fetchall()
        self._count -= len(dropped)
        return dropped[0][0] if dropped else None

    def split_by_origin(self) -> tuple[array[int], array[int]]:
        """Return the places of the seeds and those of the other rows, each in order. Raises StorageError."""
        seeds, others = array("q"), array("q")
        for place, origin in self._database.run("SELECT place, origin FROM kept ORDER BY place"):
            (seeds if origin == "seed" else others).append(place)
        return seeds, others

    def at(self, place: int) -> StoredRow:
        """Return the row at a place of ``split_by_origin``."""
        (data,) = self._database.run("SELECT row FROM kept WHERE place = ?", (place,)).fetchone()
        return StoredRow(*marshal.loads(data))  # noqa: S302  only this process can write the file


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
            row = store.at(place)
            self._digest.update(row.line)
            self.count += 1
            yield row

    @property
    def digest(self) -> str:
        """SHA-256 of all lines."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines."""
        return (store.at(place).line for store, places in self._parts for place in places)

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

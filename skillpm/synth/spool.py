"""Rows on disk while a synthesis runs, so that its memory does not grow with the number of rows.

Of each row two bytes are in memory, which tell its family.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path

from skillpm.model.task import Task
from skillpm.storage.files import DiskErrors
from skillpm.storage.temporary_lines import TemporaryLines
from skillpm.synth.task_line import read_task

_DROPPED = 0  # in place of a family


class RowStore:
    """Rows on disk as lines of JSON, each with a number; some are dropped again.

    Attributes:
        families: how many rows each family has.
    """

    def __init__(self) -> None:
        self.families: Counter[str] = Counter()
        self._lines = TemporaryLines()
        self._places: dict[str, int] = {}  # of families, counted from 1
        self._rows = array("H")  # of each row: the place of its family

    def __len__(self) -> int:
        """Return how many there are, without those that were dropped."""
        return self.families.total()

    def __contains__(self, number: int) -> bool:
        """Is a row still there?"""
        return self._rows[number] != _DROPPED

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines, without those that were dropped. Raises StorageError."""
        return compress(self._lines, self._rows)

    @property
    def size(self) -> int:
        """In bytes, with what was dropped."""
        return self._lines.size

    @property
    def next_number(self) -> int:
        """The number of the next row."""
        return len(self._rows)

    def before(self, number: int) -> int:
        """Return how many of the rows before this one are still there."""
        return number - self._rows[:number].count(_DROPPED)

    def extend(self, families: Sequence[str], lines: Sequence[bytes]) -> range:
        """Keep rows, each of a family, and return their numbers. Raises StorageError."""
        first = self.next_number
        self._lines.append(b"".join(lines))
        for family in families:
            self._places.setdefault(family, 1 + len(self._places))
        self._rows.extend(map(self._places.__getitem__, families))
        self.families.update(families)
        return range(first, self.next_number)

    def drop(self, number: int) -> None:
        """Drop a row that is there."""
        self.families[[*self._places][self._rows[number] - 1]] -= 1
        self._rows[number] = _DROPPED

    def dropped(self) -> Iterator[bytes]:
        """Yield the lines that were dropped. Raises StorageError."""
        return compress(self._lines, (family == _DROPPED for family in self._rows))


class TaskLines:
    """The tasks of one side in their order, as lines of JSON in ASCII; they are read from disk again each time.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lines = TemporaryLines()
        self._digest = hashlib.sha256()

    def extend(self, lines: Sequence[bytes]) -> None:
        """Add lines. Raises StorageError."""
        text = b"".join(lines)
        self._digest.update(text)
        self._lines.append(text)
        self.count += len(lines)

    @property
    def digest(self) -> str:
        """SHA-256 of all lines."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines."""
        return iter(self._lines)

    def write(self, path: Path) -> None:
        """Write the lines to a new file. Raises StorageError."""
        with DiskErrors("write", path), path.open("xb") as file:
            file.writelines(self._lines.blocks())
            file.flush()
            os.fsync(file.fileno())

    def tasks(self) -> Iterator[Task]:
        """Return the tasks."""
        return map(read_task, self)

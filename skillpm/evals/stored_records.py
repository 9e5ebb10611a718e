"""Records that stay in a file: they are read one at a time, and what statistics need of them is kept in columns."""

from __future__ import annotations

import operator
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, overload

from skillpm.evals.outcomes import Outcomes, TaskNumbers
from skillpm.formats.json_walk import JsonWalk
from skillpm.formats.strict import strict_json
from skillpm.model.evaluation import Arm, Evaluation, Record
from skillpm.storage.files import DiskErrors, read_text

_IN_MEMORY = 1 << 20  # bytes of records that need no file


class _File:
    """A file of records, open as long as records of it are in use."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        weakref.finalize(self, file.close)


class StoredRecords(Sequence[Record]):
    """Records in a file; of each one, its place there and its outcome are in memory.

    Args:
        file: that holds them as JSON.
        tasks: numbers their tasks.
    """

    def __init__(self, file: _File, tasks: TaskNumbers | None = None) -> None:
        self.outcomes = Outcomes(tasks)
        self._file = file
        self._starts = array("Q")
        self._lengths = array("I")

    @classmethod
    def of(cls, records: Iterable[Record]) -> StoredRecords:
        """Return records that are written to a temporary file as they come."""
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it closes with the last record
        stored = cls(_File(file))
        for record in records:
            stored.append(record)
        return stored

    def append(self, record: Record) -> None:
        """Write a record at the end of a temporary file."""
        content = record.model_dump_json().encode()
        with DiskErrors("write", Path(tempfile.gettempdir())):
            start = self._file.file.seek(0, 2)
            self._file.file.write(content)
        self.place(record, start, len(content))

    def place(self, record: Record, start: int, length: int) -> None:
        """Add a record that is in the file already."""
        self._starts.append(start)
        self._lengths.append(length)
        self.outcomes.add(record)

    def picked(self, places: Iterable[int]) -> StoredRecords:
        """Return the records at some places."""
        stored = StoredRecords(self._file, self.outcomes.tasks)
        for place in places:
            stored._starts.append(self._starts[place])
            stored._lengths.append(self._lengths[place])
            stored.outcomes.take(self.outcomes, place)
        return stored

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, place: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        self._file.file.seek(self._starts[place])
        text = self._file.file.read(self._lengths[place]).decode()
        return Record.model_validate(strict_json(text))

    def __iter__(self) -> Iterator[Record]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]


def stored_records(arm: Arm) -> StoredRecords:
    """Return the records of an arm with their outcomes."""
    return arm.records if isinstance(arm.records, StoredRecords) else StoredRecords.of(arm.records)


def outcomes_of(arm: Arm) -> Outcomes:
    """Return the outcomes of an arm's records."""
    return stored_records(arm).outcomes


def read_stored(path: Path) -> Evaluation:
    """Read an evaluation from a file, its records one by one; they stay there.

    Raises:
        DocumentError: it is not an evaluation.
        StorageError: the file cannot be read.
    """
    with DiskErrors("read", path):
        file = _File(path.open("rb"))
        try:
            return Evaluation.model_validate(_root(JsonWalk(file.file), file)).as_now()
        except ValueError:
            pass  # read as a whole, it says what is wrong with it and where
    return Evaluation.parse(read_text(path), path=str(path))


def _root(walk: JsonWalk, file: _File) -> dict[str, Any]:
    tasks = TaskNumbers()
    root: dict[str, Any] = {}
    for key in walk.keys(root):
        root[key] = [_arm(walk, file, tasks) for _ in walk.items()] if key == "arms" else walk.value()
    walk.end()
    return root


def _arm(walk: JsonWalk, file: _File, tasks: TaskNumbers) -> dict[str, Any]:
    arm: dict[str, Any] = {}
    for key in walk.keys(arm):
        arm[key] = _records(walk, StoredRecords(file, tasks)) if key == "records" else walk.value()
    return arm


def _records(walk: JsonWalk, records: StoredRecords) -> StoredRecords:
    for _ in walk.items():
        row = walk.value()
        records.place(Record.model_validate(row), *walk.span)
    return records

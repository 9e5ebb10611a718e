"""Records that stay in a file: they are read one at a time, and what statistics need of them is kept in columns."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from skillpm.errors import DocumentError
from skillpm.evals.outcomes import Outcomes, TaskNumbers
from skillpm.formats.document import LONE_SURROGATE, surrogate_place
from skillpm.formats.json_walk import JsonWalk
from skillpm.formats.strict import strict_json
from skillpm.model.evaluation import WHOLE, Arm, Evaluation, Record, changes
from skillpm.model.suite import ROLLOUTS
from skillpm.storage.file_rows import FileRows
from skillpm.storage.files import DiskErrors, read_text


class StoredRecords(Sequence[Record]):
    """Records in a file; of each one, its place there and its outcome are in memory.

    Args:
        rows: hold them as JSON.
        tasks: numbers their tasks.
    """

    def __init__(self, rows: FileRows, tasks: TaskNumbers | None = None) -> None:
        self.outcomes = Outcomes(tasks)
        self._rows = rows

    @classmethod
    def of(cls, records: Iterable[Record]) -> StoredRecords:
        """Return records that are written to a temporary file as they come."""
        stored = cls(FileRows.temporary())
        for record in records:
            stored.append(record)
        return stored

    def append(self, record: Record) -> None:
        """Write a record at the end of a temporary file."""
        self._rows.append(record.model_dump_json().encode())
        self.outcomes.add(record)

    def place(self, record: Record, start: int, length: int) -> None:
        """Add a record that is in the file already."""
        self._rows.place(start, length)
        self.outcomes.add(record)

    def picked(self, places: Iterable[int]) -> StoredRecords:
        """Return the records at some places."""
        chosen = array("I", places)
        stored = StoredRecords(self._rows.picked(chosen), self.outcomes.tasks)
        for place in chosen:
            stored.outcomes.take(self.outcomes, place)
        return stored

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, place: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        return Record.model_validate(strict_json(self._rows[place].decode()))

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
        rows = FileRows(path.open("rb"))
        tasks = _Tasks()
        try:
            evaluation = Evaluation.model_validate(_root(JsonWalk(rows.file), rows, tasks))
            changed = tuple(changes(evaluation, tasks.contents))
        except _ChangedTaskError as error:
            raise DocumentError(str(error), path=str(path), hint=WHOLE) from None
        except ValueError:  # read as a whole, it says what is wrong with it and where
            evaluation, changed = Evaluation.parse(read_text(path), path=str(path)), ()
    for problem in _contradictions(evaluation):
        raise DocumentError(problem, path=str(path))
    for problem in changed:
        raise DocumentError(problem, path=str(path), hint=WHOLE)
    return evaluation.as_now()


def _contradictions(evaluation: Evaluation) -> Iterator[str]:
    """Yield what no evaluation can be, and what would be counted twice or not at all."""
    known = {(task_set.skill, task_set.name) for task_set in evaluation.task_sets}
    names = [arm.name for arm in evaluation.arms]
    for number, arm in enumerate(evaluation.arms):
        if arm.name in names[:number]:
            yield f"has two arms `{arm.name}`"
        outcomes = outcomes_of(arm)
        for profile in outcomes.profiles:
            if (profile.skill, profile.suite) not in known:
                yield f"arm `{arm.name}` has answers of `{profile.skill}, {profile.suite}`, which is no task set"
        answered: dict[int, bytearray] = {}  # by repeat: a mark for each task
        for place, task in enumerate(outcomes.task):
            profile = outcomes.profile(place)
            if profile.suite == ROLLOUTS:
                continue
            if profile.repeat not in answered:
                answered[profile.repeat] = bytearray(len(outcomes.tasks))
            if answered[profile.repeat][task]:
                yield f"`arms.{number}.records.{place}`: a second answer to its task, with `repeat` {profile.repeat}"
            answered[profile.repeat][task] = 1


class _ChangedTaskError(ValueError):
    """A task has another request or expected answer than before, and still its key, which is a digest of both."""


class _Tasks:
    """The tasks of all arms: their numbers, and of each the digest of what it asks and expects, in 8 bytes.

    Attributes:
        contents: of each arm so far, the sum of the digests of its records.
    """

    def __init__(self) -> None:
        self.numbers = TaskNumbers()
        self.contents: list[int] = []
        self._contents = array("Q")

    def check(self, number: int, record: Record, place: str) -> None:
        """Raise _ChangedTaskError where a record's task asks or expects something else than it did before."""
        content = record.content
        self.contents[-1] += content
        if number == len(self._contents):
            self._contents.append(content)
        elif self._contents[number] != content:
            raise _ChangedTaskError(f"`{place}`: another request or expected answer than its task has before")


def _root(walk: JsonWalk, rows: FileRows, tasks: _Tasks) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for key in walk.keys(root):
        if key == "arms":
            root[key] = [_arm(walk, rows, tasks, number) for number, _ in enumerate(walk.items())]
        else:
            root[key] = _text(walk.value())
    walk.end()
    return root


def _arm(walk: JsonWalk, rows: FileRows, tasks: _Tasks, number: int) -> dict[str, Any]:
    arm: dict[str, Any] = {}
    tasks.contents.append(0)
    for key in walk.keys(arm):
        if key == "records":
            arm[key] = _records(walk, StoredRecords(rows.picked(()), tasks.numbers), tasks, number)
        else:
            arm[key] = _text(walk.value())
    return arm


def _records(walk: JsonWalk, records: StoredRecords, tasks: _Tasks, arm: int) -> StoredRecords:
    for place, _ in enumerate(walk.items()):
        record = Record.model_validate(_text(walk.value()))
        records.place(record, *walk.span)
        tasks.check(records.outcomes.task[-1], record, f"arms.{arm}.records.{place}")
    return records


def _text(value: Any) -> Any:
    """Return a value that can be written again. Raises ValueError where a text in it has a lone surrogate."""
    if surrogate_place(value) is not None:
        raise ValueError(LONE_SURROGATE)
    return value

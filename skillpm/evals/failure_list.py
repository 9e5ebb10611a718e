"""The wrong answers as a report lists them: how many fit on a page, and what a reader can filter them by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from skillpm.evals.failures import failures, reasons
from skillpm.evals.figures import shown_tags, task_set_label
from skillpm.model.answer_kind import label_of
from skillpm.model.evaluation import Evaluation, Record, TaskSet

T = TypeVar("T", bound=Hashable)
SHOWN_FAILURES = 5_000  # of one page, about 3 MB
SHOWN_TAGS = 60  # to filter by
SHOWN_REASONS = 5  # of one failure


@dataclass(frozen=True, slots=True)
class Failure:
    """A wrong answer of the page.

    Attributes:
        marks: the classes that the filters look at, such as ``s1 t0 g3``.
    """

    record: Record
    marks: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The wrong answers of one task set, or as many of them as the page takes; ``count`` is the number of all."""

    task_set: TaskSet
    mark: str
    count: int
    judged: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Values to filter by: what people read, the class that marks them, and how many failures have it."""

    name: str
    letter: str
    choices: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class FailureList:
    """All failures that a page shows; ``count`` is the number of all."""

    groups: tuple[FailureGroup, ...]
    filters: tuple[Filter, ...]
    count: int
    shown: int


def failure_list(evaluation: Evaluation) -> FailureList:
    """Choose the wrong answers of the last arm that a page shows, and what they can be filtered by."""
    wrong = list(failures(evaluation))
    shown = _spread(wrong, SHOWN_FAILURES)
    marks = _Marks(evaluation.task_sets, shown)
    by_set: dict[tuple[str, str], list[Failure]] = {}
    for record in shown:
        failure = Failure(record, marks.of(record), tuple(reasons(record)[:SHOWN_REASONS]))
        by_set.setdefault((record.skill, record.suite), []).append(failure)
    counts = _set_sizes(wrong)
    judged = (
        _set_sizes(record for record in evaluation.arms[-1].records if record.judged) if evaluation.arms else counts
    )
    groups = tuple(
        FailureGroup(task_set, f"s{number}", counts[place], judged[place], tuple(by_set.get(place, ())))
        for number, task_set in enumerate(evaluation.task_sets)
        if counts[place := (task_set.skill, task_set.name)]
    )
    return FailureList(groups, marks.filters(shown), len(wrong), len(shown))


def _set_sizes(records: Iterable[Record]) -> Counter[tuple[str, str]]:
    return Counter((record.skill, record.suite) for record in records)


class _Marks:
    """Numbers the task sets, tools and tags of failures: the class of a value is a letter and its number."""

    def __init__(self, task_sets: Sequence[TaskSet], records: Sequence[Record]) -> None:
        tags = Counter(tag for record in records for tag in shown_tags(record))
        self._sets = _numbered((task_set.skill, task_set.name) for task_set in task_sets)
        self._tools = _numbered(sorted({label_of(record.expected) for record in records} - {""}))
        self._tags = _numbered(sorted(tag for tag, _ in tags.most_common(SHOWN_TAGS)))

    def of(self, record: Record) -> str:
        """Return the classes of a failure."""
        tool = label_of(record.expected)
        marks = [f"s{self._sets[record.skill, record.suite]}", *([f"t{self._tools[tool]}"] if tool else [])]
        return " ".join([*marks, *(f"g{self._tags[tag]}" for tag in shown_tags(record) if tag in self._tags)])

    def filters(self, records: Sequence[Record]) -> tuple[Filter, ...]:
        """Return the filters of these failures."""
        counts = Counter(mark for record in records for mark in set(self.of(record).split()))
        sets = {f"{skill}, {task_set_label(name)}": number for (skill, name), number in self._sets.items()}
        kinds = (("Task set", "s", sets), ("Tool", "t", self._tools), ("Tag", "g", self._tags))
        return tuple(Filter(name, letter, _choices(letter, numbers, counts)) for name, letter, numbers in kinds)


def _choices(letter: str, numbers: Mapping[str, int], counts: Mapping[str, int]) -> tuple[tuple[str, str, int], ...]:
    marked = ((label, f"{letter}{number}") for label, number in numbers.items())
    return tuple((label, mark, counts[mark]) for label, mark in marked if counts[mark])


def _numbered(values: Iterable[T]) -> dict[T, int]:
    return {value: number for number, value in enumerate(values)}


def _spread(records: Sequence[Record], limit: int) -> list[Record]:
    """Return at most ``limit`` records in order, as many of each task set and tool as there is room for."""
    if len(records) <= limit:
        return list(records)
    turns: Counter[tuple[str, str, str]] = Counter()
    ranked = []
    for place, record in enumerate(records):
        group = (record.skill, record.suite, label_of(record.expected))
        ranked.append((turns[group], place))
        turns[group] += 1
    return [records[place] for place in sorted(place for _, place in sorted(ranked)[:limit])]

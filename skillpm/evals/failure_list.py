"""The wrong answers as a report lists them: how many fit on a page, and what a reader can filter them by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TypeVar

from skillpm.evals.failures import reasons, wrong
from skillpm.evals.figures import shown_tags, task_set_label
from skillpm.evals.outcomes import Part, Profile
from skillpm.evals.stored_records import StoredRecords, stored_records
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
    records = stored_records(evaluation.arms[-1]) if evaluation.arms else StoredRecords.of(())
    outcomes = records.outcomes
    all_wrong = wrong(outcomes)
    places = _spread(all_wrong, SHOWN_FAILURES)
    shown = [outcomes.profile(place) for place in places]
    marks = _Marks(evaluation.task_sets, shown)
    by_set: dict[tuple[str, str], list[Failure]] = {}
    for record, profile in zip(map(records.__getitem__, places), shown, strict=True):
        failure = Failure(record, marks.of(profile), tuple(reasons(record)[:SHOWN_REASONS]))
        by_set.setdefault((record.skill, record.suite), []).append(failure)
    counts = _set_sizes(all_wrong)
    judged = _set_sizes(outcomes.whole().only(lambda profile: profile.judged))
    groups = tuple(
        FailureGroup(task_set, f"s{number}", counts[place], judged[place], tuple(by_set.get(place, ())))
        for number, task_set in enumerate(evaluation.task_sets)
        if counts[place := (task_set.skill, task_set.name)]
    )
    return FailureList(groups, marks.filters(shown), len(all_wrong), len(shown))


def _set_sizes(part: Part) -> Counter[tuple[str, str]]:
    sizes: Counter[tuple[str, str]] = Counter()
    for profile, count in part.counts.items():
        sizes[profile.skill, profile.suite] += count
    return sizes


class _Marks:
    """Numbers the task sets, tools and tags of failures: the class of a value is a letter and its number."""

    def __init__(self, task_sets: Sequence[TaskSet], profiles: Sequence[Profile]) -> None:
        tags = Counter(tag for profile in profiles for tag in shown_tags(profile))
        self._sets = _numbered((task_set.skill, task_set.name) for task_set in task_sets)
        self._tools = _numbered(sorted({profile.expected for profile in profiles} - {""}))
        self._tags = _numbered(sorted(tag for tag, _ in tags.most_common(SHOWN_TAGS)))

    def of(self, profile: Profile) -> str:
        """Return the classes of a failure."""
        tool = profile.expected
        marks = [f"s{self._sets[profile.skill, profile.suite]}", *([f"t{self._tools[tool]}"] if tool else [])]
        return " ".join([*marks, *(f"g{self._tags[tag]}" for tag in shown_tags(profile) if tag in self._tags)])

    def filters(self, profiles: Sequence[Profile]) -> tuple[Filter, ...]:
        """Return the filters of these failures."""
        counts = Counter(mark for profile in profiles for mark in set(self.of(profile).split()))
        sets = {f"{skill}, {task_set_label(name)}": number for (skill, name), number in self._sets.items()}
        kinds = (("Task set", "s", sets), ("Tool", "t", self._tools), ("Tag", "g", self._tags))
        return tuple(Filter(name, letter, _choices(letter, numbers, counts)) for name, letter, numbers in kinds)


def _choices(letter: str, numbers: Mapping[str, int], counts: Mapping[str, int]) -> tuple[tuple[str, str, int], ...]:
    marked = ((label, f"{letter}{number}") for label, number in numbers.items())
    return tuple((label, mark, counts[mark]) for label, mark in marked if counts[mark])


def _numbered(values: Iterable[T]) -> dict[T, int]:
    return {value: number for number, value in enumerate(values)}


def _spread(part: Part, limit: int) -> Sequence[int]:
    """Return at most ``limit`` places in order, as many of each task set and tool as there is room for."""
    if len(part) <= limit:
        return part.places
    turns: Counter[tuple[str, str, str]] = Counter()

    def ranked() -> Iterator[tuple[int, int]]:
        for place in part.places:
            profile = part.outcomes.profile(place)
            group = (profile.skill, profile.suite, profile.expected)
            yield turns[group], place
            turns[group] += 1

    return sorted(place for _, place in nsmallest(limit, ranked()))

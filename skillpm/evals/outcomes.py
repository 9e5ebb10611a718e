"""What statistics need of the records of an arm, in columns of numbers: some 60 bytes a record, whatever it says."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from skillpm.contract.answer import read_answer
from skillpm.evals.statistics import Clusters
from skillpm.model.answer_kind import kind_of, label_of
from skillpm.model.evaluation import TEMPLATE, Record, TaskKey
from skillpm.model.ports import are_counted

G = TypeVar("G", bound=Hashable)
NO_TOOL = ""  # of an answer that calls none
NO_KIND = ""  # of an answer that is none of the kinds
_DIGEST = 16  # bytes of the digest that stands for a task
_NONE = float("nan")  # of a reward that is None: a document cannot hold NaN


class Profile(NamedTuple):
    """What records have in common; an arm has far fewer profiles than records.

    Attributes:
        judged: is there a verdict to count?
        repeat: which of the answers to its task it is.
        expected: what was asked for, in short; and its kind.
        called: what was answered, in short; and its kind.
        counted: did the model say how many tokens the prompt took, and the answer?
    """

    skill: str
    suite: str
    status: str
    judged: bool
    exact: bool
    valid_json: bool | None
    finish_reason: str
    repeat: int
    tags: tuple[str, ...]
    expected: str
    expected_kind: str
    called: str
    called_kind: str
    counted: bool
    rewards: tuple[str, ...]

    def is_of(self, task_set: tuple[str, str] | None) -> bool:
        """Is it of a (skill, task set), or is none named?"""
        return task_set in (None, (self.skill, self.suite))


def called_tool(record: Record) -> str:
    """Return the tool that an answer calls, or what else it does; ``NO_TOOL`` if it does nothing."""
    return _called(record)[0]


def _called(record: Record) -> tuple[str, str]:
    value = read_answer(record.completion).value
    called = value is not None and (isinstance(value.get("tool"), str) or "tool" not in value)
    return (label_of(value) if called else NO_TOOL, kind_of(value) or NO_KIND)


def _profile(record: Record) -> Profile:
    called, called_kind = _called(record)
    return Profile(
        skill=record.skill,
        suite=record.suite,
        status=record.verdict.status,
        judged=record.judged,
        exact=record.exact,
        valid_json=record.valid_json,
        finish_reason=record.finish_reason,
        repeat=record.repeat,
        tags=record.tags,
        expected=label_of(record.expected),
        expected_kind=kind_of(record.expected) or NO_KIND,
        called=called,
        called_kind=called_kind,
        counted=are_counted(record.prompt_tokens, record.completion_tokens, record.completion),
        rewards=tuple(record.rewards),
    )


class TaskNumbers:
    """Numbers tasks from 0 in the order in which they first appear, for some 30 bytes a task.

    A dict takes 150. This is its table of slots alone, with open addressing: a slot has 0, or a task's number plus 1.
    """

    def __init__(self) -> None:
        self._digests = bytearray()
        self._slots = array("I", [0]) * 1024

    def __len__(self) -> int:
        return len(self._digests) // _DIGEST

    def digest(self, number: int) -> bytes:
        """Return the digest of the task of a number."""
        return bytes(self._digests[_DIGEST * number : _DIGEST * (number + 1)])

    def digests(self) -> Iterator[bytes]:
        """Yield the digests of all tasks, by their numbers."""
        return map(self.digest, range(len(self)))

    def number(self, key: TaskKey) -> int:
        """Return the number of a task, a new one where it has none."""
        digest = self.digest_of(key)
        slot = self._slot(digest)
        if not self._slots[slot]:
            self._digests += digest
            self._slots[slot] = len(self)
            if 3 * len(self) > 2 * len(self._slots):
                self._grow()
            return len(self) - 1
        return self._slots[slot] - 1

    @staticmethod
    def digest_of(key: TaskKey) -> bytes:
        """Return the digest that stands for a task."""
        return hashlib.blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()

    def find(self, digest: bytes) -> int:
        """Return the number of the task of a digest; -1 where there is none."""
        return self._slots[self._slot(digest)] - 1

    def _slot(self, digest: bytes) -> int:
        """Return the slot of a digest, or the free one where it belongs."""
        last = len(self._slots) - 1
        slot = int.from_bytes(digest[:8]) & last
        while (number := self._slots[slot]) and self._digests[_DIGEST * (number - 1) : _DIGEST * number] != digest:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        self._slots = array("I", [0]) * (2 * len(self._slots))
        for number in range(len(self)):
            self._slots[self._slot(self.digest(number))] = number + 1


class Outcomes:
    """The columns of the records of an arm. A *place* is a record's position among them.

    Args:
        tasks: numbers the tasks; arms that are compared may share it.

    Attributes:
        profiles: in the order in which they first appear.
        numbers: of each record, the position of its profile.
    """

    def __init__(self, tasks: TaskNumbers | None = None) -> None:
        self.tasks = TaskNumbers() if tasks is None else tasks
        self.profiles: list[Profile] = []
        self.numbers = array("I")
        self.task = array("I")
        self._known: dict[Profile, int] = {}
        self._templates: dict[str, int] = {}
        self._template = array("i")  # of each profile; -1 without one
        self._prompt_tokens = array("I")
        self._completion_tokens = array("I")
        self._paid = array("d")
        self._paid_from = array("Q")

    def __len__(self) -> int:
        return len(self.task)

    def add(self, record: Record) -> None:
        """Add a record at the next place."""
        self._append(_profile(record), self.tasks.number(record.key), record.prompt_tokens, record.completion_tokens)
        self._paid.extend(_NONE if value is None else value for value in record.rewards.values())

    def take(self, other: Outcomes, place: int) -> None:
        """Add what others that share the numbers of tasks have at a place."""
        profile, start = other.profile(place), other._paid_from[place]
        tokens = other._prompt_tokens[place], other._completion_tokens[place]
        self._append(profile, other.task[place], *tokens)
        self._paid.extend(other._paid[start : start + len(profile.rewards)])

    def _append(self, profile: Profile, task: int, prompt_tokens: int, completion_tokens: int) -> None:
        number = self._known.setdefault(profile, len(self.profiles))
        if number == len(self.profiles):
            self.profiles.append(profile)
            template = next((tag for tag in profile.tags if tag.startswith(TEMPLATE)), None)
            templates = self._templates
            self._template.append(-1 if template is None else templates.setdefault(template, len(templates)))
        self.numbers.append(number)
        self.task.append(task)
        self._prompt_tokens.append(prompt_tokens)
        self._completion_tokens.append(completion_tokens)
        self._paid_from.append(len(self._paid))

    @property
    def prompt_tokens(self) -> int:
        """Of all records."""
        return sum(self._prompt_tokens)

    @property
    def completion_tokens(self) -> int:
        """Of all records."""
        return sum(self._completion_tokens)

    def profile(self, place: int) -> Profile:
        """Return the profile of a record."""
        return self.profiles[self.numbers[place]]

    def reward(self, place: int, name: str | None) -> float | None:
        """Return what a record's reward of this name pays; None where it has none."""
        names = self.profile(place).rewards
        if name not in names:
            return None
        paid = self._paid[self._paid_from[place] + names.index(name)]
        return None if math.isnan(paid) else paid

    def clusters(self, places: Iterable[int]) -> Clusters:
        """Return the clusters of records: the templates of their requests, or their tasks where none is named."""
        first = len(self._templates)

        def cluster(place: int) -> int:
            template = self._template[self.numbers[place]]
            return template if template >= 0 else first + self.task[place]

        return Clusters.numbered(map(cluster, places), first + len(self.tasks))

    def whole(self) -> Part:
        """Return all records as a part."""
        return Part(self, range(len(self)))

    def groups(self, names: Callable[[Profile], Iterable[G]]) -> dict[G, Part]:
        """Return the records by the groups that their profiles belong to, which may be none or several."""
        groups: dict[G, array[int]] = {}
        targets = [
            [groups.setdefault(name, array("I")) for name in dict.fromkeys(names(profile))] for profile in self.profiles
        ]
        for place, number in enumerate(self.numbers):
            for target in targets[number]:
                target.append(place)
        return {name: Part(self, places) for name, places in groups.items()}


class Part:
    """Some records of an arm, by their places in ascending order."""

    def __init__(self, outcomes: Outcomes, places: array[int] | range) -> None:
        self.outcomes = outcomes
        self.places = places
        self._counts = Counter(map(outcomes.numbers.__getitem__, places))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def tasks(self) -> int:
        """How many tasks the records are of."""
        tasks = map(self.outcomes.task.__getitem__, self.places)
        return Clusters.numbered(tasks, len(self.outcomes.tasks)).count

    @property
    def counts(self) -> dict[Profile, int]:
        """How many records each profile has, in the order in which they first appear."""
        return {self.outcomes.profiles[number]: count for number, count in self._counts.items()}

    def count(self, holds: Callable[[Profile], bool]) -> int:
        """Return how many records have a profile that is wanted."""
        return sum(count for profile, count in self.counts.items() if holds(profile))

    def only(self, holds: Callable[[Profile], bool]) -> Part:
        """Return the records whose profile is one that is wanted."""
        wanted = {number for number in self._counts if holds(self.outcomes.profiles[number])}
        numbers = self.outcomes.numbers
        return Part(self.outcomes, array("I", (place for place in self.places if numbers[place] in wanted)))

    def measured(self, value: Callable[[Profile], float | None]) -> Measured:
        """Return a number that profiles decide for each record, without the records that have none."""
        by_profile = {number: value(self.outcomes.profiles[number]) for number in self._counts}
        numbers = self.outcomes.numbers
        return self._measured(lambda place: by_profile[numbers[place]])

    def paid(self, reward: str | None) -> Measured:
        """Return what a reward pays for each judged record, without those that have none."""
        outcomes = self.outcomes
        return self._measured(lambda place: outcomes.reward(place, reward) if outcomes.profile(place).judged else None)

    def _measured(self, value: Callable[[int], float | None]) -> Measured:
        values, places = array("d"), array("I")
        for place in self.places:
            measure = value(place)
            if measure is not None:
                values.append(measure)
                places.append(place)
        return Measured(values, self.outcomes.clusters(places))


class TaskPlaces:
    """The places of the records of each task of a part, which may be several where it was asked several times."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._tasks = part.outcomes.task
        self._first = array("i", [-1]) * len(part.outcomes.tasks)  # by task
        self._next = array("i", [-1]) * len(part.outcomes)  # by place
        for place in reversed(part.places):
            task = self._tasks[place]
            self._next[place], self._first[task] = self._first[task], place

    def __iter__(self) -> Iterator[int]:
        """Yield the tasks in the order in which they first appear."""
        return (self._tasks[place] for place in self._part.places if self._first[self._tasks[place]] == place)

    def of(self, task: int) -> list[int]:
        """Return the places of the records of a task, in order."""
        places, place = [], self._first[task]
        while place >= 0:
            places.append(place)
            place = self._next[place]
        return places


class Measured(NamedTuple):
    """A number of each of some records, and the clusters of these."""

    values: array[float]
    clusters: Clusters

"""The answers of an arm while they come: judged in batches, and sent on where an environment shows something more."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from skillpm.evals.records import record
from skillpm.evals.stored_records import StoredRecords
from skillpm.evals.tasks import EvalTask
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge, Observe

_AT_ONCE = 512  # answers that are judged together while others are written


class Answers:
    """The answers of an arm: some wait for their judgement, the others are records in a file.

    Args:
        judge: judges any mix of skills, in order.
        ahead: are answers judged while others are written?

    Attributes:
        positions: of the tasks of the answers, in the order of ``in_order``.
    """

    def __init__(self, judge: Judge, tasks: Sequence[EvalTask], repeats: int, *, ahead: bool) -> None:
        self.tasks = tasks
        self.positions: Sequence[int] = ()
        self._judge = judge
        self._repeats = repeats
        self._kept = _AT_ONCE if ahead else 0  # of the newest answers: the workers have something to do meanwhile
        self._waiting: dict[tuple[int, int], Episode] = {}  # by the position of the task, and the repeat
        self._records = StoredRecords.of(())
        self._places = array("i", [-1]) * (len(tasks) * repeats)  # of the records, in the order of tasks and repeats

    def add(self, index: int, repeat: int, episode: Episode) -> None:
        """Add an answer."""
        self._waiting[index, repeat] = episode
        if len(self._waiting) >= _AT_ONCE + self._kept:
            self._record(list(self._waiting)[:_AT_ONCE])

    def in_order(self) -> StoredRecords:
        """Return the records of all answers, in the order of the tasks and repeats."""
        self._record(sorted(self._waiting))
        answered = array("I", (number for number, place in enumerate(self._places) if place >= 0))
        self.positions = array("I", (number // self._repeats for number in answered))
        return self._records.picked(map(self._places.__getitem__, answered))

    def _record(self, places: Sequence[tuple[int, int]]) -> None:
        """Have answers judged, and keep their records."""
        judgements = self._judge([self._waiting[place] for place in places])
        for (index, repeat), judgement in zip(places, judgements, strict=True):
            episode = self._waiting.pop((index, repeat))
            self._places[index * self._repeats + repeat] = len(self._records)
            self._records.append(record(self.tasks[index].suite, episode, judgement, repeat))


class Turn:
    """The answers of one round: those that end their episodes are added, the others wait for the next round.

    Args:
        answers: take the episodes that have ended.
        places: of the tasks that are asked, among all.
        observe: says what comes next; None in the last round.

    Attributes:
        going: the episodes that go on, by place.
    """

    def __init__(self, answers: Answers, repeat: int, places: Sequence[int], observe: Observe | None) -> None:
        self.going: dict[int, Episode] = {}
        self._answers, self._repeat, self._places = answers, repeat, places
        self._observe = observe
        self._waiting: dict[int, Episode] = {}

    def add(self, index: int, episode: Episode) -> None:
        """Add an answer to the task of this index."""
        if self._observe is None or episode.finish_reason != "stop":
            self._answers.add(self._places[index], self._repeat, episode)
            return
        self._waiting[self._places[index]] = episode
        if len(self._waiting) >= _AT_ONCE:
            self.observe()

    def tasks_that_go_on(self) -> Sequence[EvalTask]:
        """Return the tasks of the episodes that go on, each with what was said before."""
        tasks, going = self._answers.tasks, self.going
        return LazySequence(list(going), lambda place: replace(tasks[place], before=going[place]))

    def observe(self) -> None:
        """Ask the environments about the answers that wait."""
        shown = [] if self._observe is None else self._observe(list(self._waiting.values()))
        for place, episode in zip(self._waiting, shown, strict=True):
            if episode.goes_on:
                self.going[place] = episode
            else:
                self._answers.add(place, self._repeat, episode)
        self._waiting.clear()

"""Pair two arms task by task and say whether one is better, in words that the numbers bear."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from skillpm.evals.figures import task_set_label
from skillpm.evals.outcomes import Outcomes, TaskPlaces
from skillpm.evals.statistics import (
    CONFIDENCE,
    Interval,
    cluster_flip_test,
    holm,
    mcnemar,
    mean_interval,
    paired_difference,
)
from skillpm.evals.stored_records import outcomes_of, stored_records
from skillpm.model.evaluation import Arm, Evaluation

Finding = Literal["better", "worse", "no evidence", "too few pairs"]
MINIMUM_PAIRS = 10
"""With fewer pairs no word is given; the exact test needs six flips to one side before it can speak at all."""


@dataclass(frozen=True, slots=True)
class TaskPair:
    """The places of the judged answers of two arms to one task; each arm may have several."""

    first: Sequence[int]
    second: Sequence[int]


class Paired:
    """Two arms, paired by the tasks that both were judged on; of one (skill, task set) if given.

    Iterating yields the pairs in the order of the first arm.
    """

    def __init__(self, first: Outcomes, second: Outcomes, task_set: tuple[str, str] | None = None) -> None:
        self.first = first
        self.second = second
        self._places = [
            TaskPlaces(outcomes.whole().only(lambda profile: profile.judged and profile.is_of(task_set)))
            for outcomes in (first, second)
        ]

    def __iter__(self) -> Iterator[TaskPair]:
        before, after = self._places
        tasks, others = self.first.tasks, self.second.tasks
        for task in before:
            other = task if tasks is others else others.find(tasks.digest(task))
            if other >= 0 and (answers := after.of(other)):
                yield TaskPair(before.of(task), answers)

    def difference(self, pair: TaskPair) -> float:
        """Return the shares of exact answers, second minus first: 1 and -1 are flips where each arm answered once."""
        one, other = ([side.profile(place).exact for place in places] for side, places in self._sides(pair))
        return _mean(other) - _mean(one)

    def paid(self, pair: TaskPair, reward: str | None) -> float | None:
        """Return the difference of the mean rewards; None where an arm has none."""
        one, other = (
            [value for place in places if (value := side.reward(place, reward)) is not None]
            for side, places in self._sides(pair)
        )
        return _mean(other) - _mean(one) if one and other else None

    def _sides(self, pair: TaskPair) -> Iterator[tuple[Outcomes, Sequence[int]]]:
        return zip((self.first, self.second), (pair.first, pair.second), strict=True)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on the tasks of one task set that both were judged on.

    Attributes:
        both: tasks that both got right; where there are several answers, equally often and mostly.
        gained: tasks that only the second arm got exactly right, or more often than the first.
        lost: the reverse.
        difference: of the shares of exact answers, second minus first.
        reward_difference: of the mean rewards over the same pairs, or None.
        p: of McNemar's exact test, or of whole clusters' signs where rows name their templates.
        p_adjusted: the same, corrected for the number of comparisons that are made together; the finding is by it.
    """

    json_keys: ClassVar = ("skill", "task_set", "first", "second", "pairs", "gained", "lost", "difference",
                           "reward_difference", "p", "p_adjusted", "finding")  # fmt: skip
    skill: str
    task_set: str
    first: str
    second: str
    both: int
    gained: int
    lost: int
    neither: int
    difference: Interval | None
    reward_difference: Interval | None
    p: float
    p_adjusted: float

    @property
    def pairs(self) -> int:
        """How many tasks were paired."""
        return self.both + self.gained + self.lost + self.neither

    @property
    def finding(self) -> Finding:
        """The verdict word."""
        if self.pairs < MINIMUM_PAIRS:
            return "too few pairs"
        if self.difference is None or self.p_adjusted >= 1 - CONFIDENCE:
            return "no evidence"
        # not by gained and lost: a task of several answers may change by any share, and the test weighs it
        return "better" if self.difference.estimate > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Tasks of a task set that only the first of two arms was judged on.

    Attributes:
        place: the skill and the task set, as a person reads them.
        tasks: how many there are.
        of: the tasks that the first arm was judged on.
    """

    place: str
    tasks: int
    of: int

    def sentence(self, first: str) -> str:
        """Say it; ``first`` is what the first arm is called."""
        which = "it" if self.tasks == self.of else f"{self.tasks} of its {self.of} tasks"
        return f"{self.place}: only {first} was judged on {which}"


def unpaired(first: Arm, found: Iterable[Comparison]) -> list[Unpaired]:
    """Return the task sets of which some tasks of the first arm have no pair in what was found of it."""
    pairs = {(item.skill, item.task_set): item.pairs for item in found}
    judged = outcomes_of(first).groups(lambda profile: [(profile.skill, profile.suite)] if profile.judged else [])
    alone = [(place, part.tasks - pairs.get(place, 0), part.tasks) for place, part in sorted(judged.items())]
    return [Unpaired(f"{skill}, {task_set_label(name)}", tasks, of) for (skill, name), tasks, of in alone if tasks]


def compare(first: Arm, second: Arm, *, skill: str, task_set: str, reward: str | None = None) -> Comparison:
    """Pair two arms by task key; a task that either arm could not be judged on is left out."""
    before, after = outcomes_of(first), outcomes_of(second)
    pairs = Paired(before, after, (skill, task_set))
    differences, places = array("d"), array("I")  # of the second arm's first answers, which have the clusters
    paid, paid_places = array("d"), array("I")
    both, units = 0, set[int]()
    for pair in pairs:
        difference, more = pairs.difference(pair), pairs.paid(pair, reward)
        differences.append(difference)
        places.append(pair.second[0])
        if more is not None:
            paid.append(more)
            paid_places.append(pair.second[0])
        units |= {len(pair.first), len(pair.second)}
        right = sum(before.profile(place).exact for place in pair.first)
        both += difference == 0 and 2 * right >= len(pair.first)
    clusters = after.clusters(places)
    gained, lost = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    independent = units <= {1} and clusters.count == len(differences)
    neither = len(differences) - gained - lost - both
    flips = mean_interval(differences, clusters, bounds=(-1, 1))
    p = mcnemar(gained, lost) if independent else cluster_flip_test(differences, clusters, math.lcm(*units))
    return Comparison(
        skill=skill,
        task_set=task_set,
        first=first.name,
        second=second.name,
        both=both,
        gained=gained,
        lost=lost,
        neither=neither,
        difference=paired_difference(both, gained, lost, neither) if independent else flips,
        reward_difference=mean_interval(paid, after.clusters(paid_places), bounds=(-2, 2)),
        p=p,
        p_adjusted=p,
    )


def comparisons(evaluation: Evaluation) -> list[Comparison]:
    """Compare, on every task set, each arm with the first one and with the one before it."""
    rewards = {skill.name: skill.reward for skill in evaluation.skills}
    arms = evaluation.arms
    results = []
    for task_set in evaluation.task_sets:
        for position, second in enumerate(arms):
            for first in dict.fromkeys((0, position - 1)):
                if 0 <= first < position:
                    skill, reward = task_set.skill, rewards.get(task_set.skill)
                    results.append(compare(arms[first], second, skill=skill, task_set=task_set.name, reward=reward))
    return together(comparison for comparison in results if comparison.pairs)


def together(found: Iterable[Comparison]) -> list[Comparison]:
    """Return comparisons that are made together: all words of them are right with 95 %, not each of them alone.

    Those with too few pairs for a word are not counted.
    """
    items = list(found)
    counted = [place for place, item in enumerate(items) if item.pairs >= MINIMUM_PAIRS]
    for place, p in zip(counted, holm([items[place].p for place in counted]), strict=True):
        items[place] = replace(items[place], p_adjusted=p)
    return items


def merge(earlier: Evaluation, evaluation: Evaluation) -> Evaluation:
    """Put the arms of an earlier evaluation in front, cut down to the tasks that this one asked.

    An arm that both have is taken from the later one; an arm without a shared task is left out.
    """
    known = {arm.name for arm in evaluation.arms}
    asked = [outcomes.tasks for outcomes in map(outcomes_of, evaluation.arms)]
    arms = []
    for arm in earlier.arms:
        records = stored_records(arm)
        tasks = records.outcomes.tasks
        shared = bytearray(any(one.find(digest) >= 0 for one in asked) for digest in tasks.digests())
        picked = records.picked(place for place, task in enumerate(records.outcomes.task) if shared[task])
        if picked and arm.name not in known:
            arms.append(arm.model_copy(update={"records": picked}))
    return evaluation.model_copy(update={"arms": (*arms, *evaluation.arms)})

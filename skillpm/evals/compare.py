"""Pair two arms task by task and say whether one is better, in words that the numbers bear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from skillpm.evals.statistics import CONFIDENCE, Interval, cluster_flip_test, mcnemar, mean_interval, paired_difference
from skillpm.model.evaluation import Arm, Evaluation, Record, TaskKey

Finding = Literal["better", "worse", "no evidence", "too few pairs"]
MINIMUM_PAIRS = 10
"""With fewer pairs no word is given; the exact test needs six flips to one side before it can speak at all."""


@dataclass(frozen=True, slots=True)
class TaskPair:
    """The judged answers of two arms to one task; each arm may have several."""

    first: tuple[Record, ...]
    second: tuple[Record, ...]

    @property
    def difference(self) -> float:
        """Of the shares of exact answers, second minus first: 1 and -1 are flips where each arm answered once."""
        return _mean([record.exact for record in self.second]) - _mean([record.exact for record in self.first])

    @property
    def cluster(self) -> str:
        """The template that made the task, or the task itself."""
        return self.second[0].cluster

    def paid(self, reward: str | None) -> float | None:
        """Return the difference of the mean rewards; None where an arm has none."""
        sides = [
            [value for record in side if (value := record.rewards.get(reward or "")) is not None]
            for side in (self.first, self.second)
        ]
        return _mean(sides[1]) - _mean(sides[0]) if all(sides) else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def paired(first: Arm, second: Arm, place: tuple[str, str] | None = None) -> list[TaskPair]:
    """Return the tasks that both arms were judged on, in the order of the first; of one (skill, task set) if given."""
    before, after = _judged(first, place), _judged(second, place)
    return [TaskPair(tuple(before[key]), tuple(after[key])) for key in before if key in after]


def _judged(arm: Arm, place: tuple[str, str] | None) -> dict[TaskKey, list[Record]]:
    judged: dict[TaskKey, list[Record]] = {}
    for record in arm.records:
        if record.judged and place in (None, (record.skill, record.suite)):
            judged.setdefault(record.key, []).append(record)
    return judged


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on the tasks of one task set that both were judged on.

    Attributes:
        both: tasks that both got right; where there are several answers, equally often and mostly.
        gained: tasks that only the second arm got exactly right, or more often than the first.
        lost: the reverse.
        difference: of the shares of exact answers, second minus first.
        reward: mean difference of the reward over the same pairs, or None.
        p: of McNemar's exact test, or of whole clusters' signs where rows name their templates. It is not corrected for
            the number of comparisons.
    """

    skill: str
    suite: str
    first: str
    second: str
    both: int
    gained: int
    lost: int
    neither: int
    difference: Interval | None
    reward: Interval | None
    p: float

    @property
    def pairs(self) -> int:
        """How many tasks were paired."""
        return self.both + self.gained + self.lost + self.neither

    @property
    def finding(self) -> Finding:
        """The verdict word."""
        if self.pairs < MINIMUM_PAIRS:
            return "too few pairs"
        if self.p >= 1 - CONFIDENCE:
            return "no evidence"
        return "better" if self.gained > self.lost else "worse"


def compare(first: Arm, second: Arm, *, skill: str, suite: str, reward: str | None = None) -> Comparison:
    """Pair two arms by task key; a task that either arm could not be judged on is left out."""
    pairs = paired(first, second, (skill, suite))
    differences, clusters = [pair.difference for pair in pairs], [pair.cluster for pair in pairs]
    paid = [(value, pair.cluster) for pair in pairs if (value := pair.paid(reward)) is not None]
    gained, lost = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    equal = [pair for pair, value in zip(pairs, differences, strict=True) if value == 0]
    both = sum(2 * sum(record.exact for record in pair.first) >= len(pair.first) for pair in equal)
    units = {len(side) for pair in pairs for side in (pair.first, pair.second)}
    independent = units <= {1} and len(set(clusters)) == len(clusters)
    neither = len(equal) - both
    flips = mean_interval(differences, clusters, bounds=(-1, 1))
    return Comparison(
        skill=skill,
        suite=suite,
        first=first.name,
        second=second.name,
        both=both,
        gained=gained,
        lost=lost,
        neither=neither,
        difference=paired_difference(both, gained, lost, neither) if independent else flips,
        reward=mean_interval([value for value, _ in paid], [cluster for _, cluster in paid], bounds=(-2, 2)),
        p=mcnemar(gained, lost) if independent else cluster_flip_test(differences, clusters, math.lcm(*units)),
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
                    results.append(compare(arms[first], second, skill=skill, suite=task_set.name, reward=reward))
    return [comparison for comparison in results if comparison.pairs]


def merge(earlier: Evaluation, evaluation: Evaluation) -> Evaluation:
    """Put the arms of an earlier evaluation in front, cut down to the tasks that this one asked.

    An arm that both have is taken from the later one; an arm without a shared task is left out.
    """
    asked = {record.key for arm in evaluation.arms for record in arm.records}
    known = {arm.name for arm in evaluation.arms}
    arms = []
    for arm in earlier.arms:
        records = tuple(record for record in arm.records if record.key in asked)
        if records and arm.name not in known:
            arms.append(arm.model_copy(update={"records": records}))
    return evaluation.model_copy(update={"arms": (*arms, *evaluation.arms)})

"""Pair two arms task by task and say whether one is better, in words that the numbers bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skillpm.evals.statistics import CONFIDENCE, Interval, cluster_flip_test, mcnemar, mean_interval, paired_difference
from skillpm.model.evaluation import Arm, Evaluation, Record, TaskKey

Finding = Literal["better", "worse", "no evidence", "too few pairs"]
MINIMUM_PAIRS = 10
"""With fewer pairs no word is given; the exact test needs six flips to one side before it can speak at all."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on the tasks of one task set that both were judged on.

    Attributes:
        gained: tasks that only the second arm got exactly right.
        lost: tasks that only the first got right.
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
    before, after = _judged(first, skill, suite), _judged(second, skill, suite)
    pairs = [(before[key], after[key]) for key in before if key in after]
    flips = [(earlier.exact, later.exact) for earlier, later in pairs]
    both, lost = flips.count((True, True)), flips.count((True, False))
    gained, neither = flips.count((False, True)), flips.count((False, False))
    paid = [
        (then - now, later.cluster)
        for earlier, later in pairs
        if (now := earlier.rewards.get(reward or "")) is not None
        and (then := later.rewards.get(reward or "")) is not None
    ]
    differences = [float(later) - float(earlier) for earlier, later in flips]
    clusters = [later.cluster for _, later in pairs]
    clustered = len(set(clusters)) < len(clusters)
    paired = paired_difference(both, gained, lost, neither)
    return Comparison(
        skill=skill,
        suite=suite,
        first=first.name,
        second=second.name,
        both=both,
        gained=gained,
        lost=lost,
        neither=neither,
        difference=mean_interval(differences, clusters, bounds=(-1, 1)) if clustered else paired,
        reward=mean_interval([value for value, _ in paid], [cluster for _, cluster in paid], bounds=(-2, 2)),
        p=cluster_flip_test(differences, clusters) if clustered else mcnemar(gained, lost),
    )


def _judged(arm: Arm, skill: str, suite: str) -> dict[TaskKey, Record]:
    return {
        record.key: record
        for record in arm.records
        if record.skill == skill and record.suite == suite and record.judged
    }


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

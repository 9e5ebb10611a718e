"""Rewards in the shape that TRL calls: one object for each ``skill:reward``, over one shared judge.

TRL calls every column in turn with the whole batch. Each hands its rows to the judge, whose memo answers, because the
groups of a step were judged when they were chosen. A row of another skill, and one that could not be judged, is None:
TRL turns that into NaN and leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from skillpm.errors import TrainingError
from skillpm.model.episode import Episode
from skillpm.model.ports import Judge, Prefetch
from skillpm.model.task import Task
from skillpm.model.training import RewardColumn
from skillpm.model.verdict import Judgement


class Rewarder:
    """Judges batches of completions for all columns of a stage.

    Args:
        tasks: the tasks by key.
        judge: usually ``Scorer.judge``; remembers what it has judged.
        max_error_share: the share of a batch that may be errored.
        prefetch: usually ``Scorer.prefetch``.

    Attributes:
        judged: answers so far.
        errored: those of them that could not be judged.
    """

    def __init__(
        self, tasks: Mapping[str, Task], judge: Judge, max_error_share: float, prefetch: Prefetch | None = None
    ) -> None:
        self._tasks = tasks
        self._judge = judge
        self._max_error_share = max_error_share
        self._prefetch = prefetch
        self.judged = self.errored = 0

    def expect(self, key: str, completion: str) -> None:
        """Have an answer judged that ``judgements`` will be asked for, while others are written; returns at once."""
        if self._prefetch is not None:
            self._prefetch([self._episode(key, completion)])

    def judgements(self, keys: Sequence[str], completions: Sequence[str]) -> list[Judgement]:
        """Judge one batch.

        Raises:
            TrainingError: too large a share could not be judged.
        """
        judgements = self.remembered(keys, completions)
        errored = [
            (self._tasks[key].skill, judgement.verdict.reasons)
            for key, judgement in zip(keys, judgements, strict=True)
            if judgement.verdict.status == "errored"
        ]
        self.judged += len(judgements)
        self.errored += len(errored)
        if len(errored) > self._max_error_share * len(judgements):
            skill, reasons = errored[0]
            raise TrainingError(
                f"{len(errored)} of {len(judgements)} answers could not be judged, the first by {skill}: "
                f"{' '.join(' '.join(reasons).split())[:300]}",
                hint=f"run `skillpm selftest {skill}`; an outage must not train a policy",
            )
        return judgements

    def remembered(self, keys: Sequence[str], completions: Sequence[str]) -> list[Judgement]:
        """Return the judgements of answers that ``judgements`` has counted."""
        return self._judge([self._episode(key, text) for key, text in zip(keys, completions, strict=True)])

    def mean_scores(self, keys: Sequence[str], completions: Sequence[str]) -> dict[str, float]:
        """Return the mean score by skill, of answers that could be judged, 0 where none could.

        Raises:
            TrainingError: too large a share could not be judged.
        """
        scores: dict[str, list[float]] = {self._tasks[key].skill: [] for key in keys}
        for key, judgement in zip(keys, self.judgements(keys, completions), strict=True):
            if judgement.verdict.score is not None:
                scores[self._tasks[key].skill].append(judgement.verdict.score)
        return {skill: sum(judged) / max(1, len(judged)) for skill, judged in scores.items()}

    def pays(self, keys: Sequence[str], groups: Sequence[Sequence[str]], columns: Sequence[RewardColumn]) -> list[int]:
        """Return how many different pays the answers of each group get, all to one task; 0 where none could be judged.

        Raises:
            TrainingError: too large a share of all could not be judged.
        """
        pairs = [(key, text) for key, group in zip(keys, groups, strict=True) for text in group]
        judgements = iter(self.judgements([key for key, _ in pairs], [text for _, text in pairs]))
        counts = []
        for key, group in zip(keys, groups, strict=True):
            weights = {column.reward: column.weight for column in columns if column.skill == self._tasks[key].skill}
            judged = [item for item in islice(judgements, len(group)) if item.verdict.score is not None]
            counts.append(len({_pay(item, weights) for item in judged}))
        return counts

    def _episode(self, key: str, completion: str) -> Episode:
        return Episode.answering(self._tasks[key], completion)


def _pay(judgement: Judgement, weights: Mapping[str, float]) -> float:
    return sum(weight * (judgement.rewards.get(name) or 0.0) for name, weight in weights.items())


class _Column:
    """One reward function as TRL calls it."""

    def __init__(self, column: RewardColumn, rewarder: Rewarder) -> None:
        self.__name__ = column.name
        self._column = column
        self._rewarder = rewarder

    def __call__(
        self, *, completions: Sequence[Any], task_key: Sequence[str], skill: Sequence[str], **_: Any
    ) -> list[float | None]:
        """Return one reward for each completion, None where this column does not apply."""
        texts = [completion if isinstance(completion, str) else completion[-1]["content"] for completion in completions]
        judgements = self._rewarder.remembered(task_key, texts)
        return [
            judgement.rewards.get(self._column.reward) if name == self._column.skill else None
            for name, judgement in zip(skill, judgements, strict=True)
        ]


def reward_functions(columns: Sequence[RewardColumn], rewarder: Rewarder) -> list[Callable[..., list[float | None]]]:
    """Return what ``GRPOTrainer(reward_funcs=…)`` takes, in the order of the columns."""
    return [_Column(column, rewarder) for column in columns]

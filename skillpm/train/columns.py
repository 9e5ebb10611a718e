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
        drawn: answers of groups so far.
        perfect: those of them in groups that are right throughout and paid alike.
    """

    def __init__(
        self, tasks: Mapping[str, Task], judge: Judge, max_error_share: float, prefetch: Prefetch | None = None
    ) -> None:
        self._tasks = tasks
        self._judge = judge
        self._max_error_share = max_error_share
        self._prefetch = prefetch
        self.judged = self.errored = self.drawn = self.perfect = 0

    def episode(self, key: str, completion: str) -> Episode:
        """Return the episode in which a task is answered once."""
        return Episode.answering(self._tasks[key], completion)

    def expect(self, key: str, completion: str) -> None:
        """Have an answer judged that ``judgements`` will be asked for, while others are written; returns at once."""
        if self._prefetch is not None:
            self._prefetch([self.episode(key, completion)])

    def judgements(self, keys: Sequence[str], completions: Sequence[str]) -> list[Judgement]:
        """Judge one batch of single answers.

        Raises:
            TrainingError: too large a share could not be judged.
        """
        return self.judge([self.episode(key, text) for key, text in zip(keys, completions, strict=True)])

    def judge(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Judge one batch.

        Raises:
            TrainingError: too large a share could not be judged.
        """
        judgements = self.remembered(episodes)
        errored = [
            (episode.task.skill, judgement.verdict.reasons)
            for episode, judgement in zip(episodes, judgements, strict=True)
            if judgement.verdict.status == "errored"
        ]
        self.judged += len(judgements)
        self.errored += len(errored)
        if len(errored) > self._max_error_share * len(judgements):
            skill, reasons = errored[0]
            raise TrainingError(  # the hint is given where it is known how a person calls the skill
                f"{len(errored)} of {len(judgements)} answers could not be judged, the first by {skill}: "
                f"{' '.join(' '.join(reasons).split())[:300]}",
                skill=skill,
            )
        return judgements

    def remembered(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Return the judgements of episodes that ``judge`` has counted."""
        return self._judge(episodes)

    def pays(self, groups: Sequence[Sequence[Episode]], columns: Sequence[RewardColumn]) -> list[int]:
        """Return how many different pays the episodes of each group get, all of one task; 0 where none could be judged.

        Raises:
            TrainingError: too large a share of all could not be judged.
        """
        judgements = iter(self.judge([episode for group in groups for episode in group]))
        counts = []
        for group in groups:
            skill = group[0].task.skill
            weights = {column.reward: column.weight for column in columns if column.skill == skill}
            judged = [item for item in islice(judgements, len(group)) if item.verdict.score is not None]
            counts.append(len({_pay(item, weights) for item in judged}))
            self.drawn += len(group)
            if counts[-1] == 1 and all(item.verdict.score == 1 for item in judged):
                self.perfect += len(judged)
        return counts


def _pay(judgement: Judgement, weights: Mapping[str, float]) -> float:
    return sum(weight * (judgement.rewards.get(name) or 0.0) for name, weight in weights.items())


def reward_function(column: RewardColumn, rewarder: Rewarder) -> Callable[..., list[float | None]]:
    """Return one of the functions that ``GRPOTrainer(reward_funcs=…)`` takes."""

    def rewards(*, episode: Sequence[Episode], **_: Any) -> list[float | None]:
        """Return one reward for each episode, None where this column does not apply."""
        judgements = rewarder.remembered(episode)
        return [
            judgement.rewards.get(column.reward) if item.task.skill == column.skill else None
            for item, judgement in zip(episode, judgements, strict=True)
        ]

    rewards.__name__ = column.name
    return rewards

"""The gate of a stage that refines: rows that it never learns from, and what the greedy answers to them were worth."""

from __future__ import annotations

import random
from statistics import fmean

from skillpm.errors import TrainingError
from skillpm.model.training import StageInput, StageOutput, TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import held_for_validation
from skillpm.train.hf.checkpoint import remembered
from skillpm.train.hf.model import window
from skillpm.train.hf.rollout import greedy_scores
from skillpm.train.hf.together import agreed


class Validation:
    """Some rows of a stage, kept out of it.

    Args:
        given: the stage's input.
        rewarder: judges the answers.
        validate_on: how many rows are wanted; at most a third is kept out.
        max_new_tokens: of an answer.
        turns: answers of one episode, at most, where a skill has an environment.

    Attributes:
        learned: the other rows, mixed.

    Raises:
        TrainingError: no row leaves room for an answer, or too many answers could not be judged.
    """

    def __init__(
        self, given: StageInput, rewarder: Rewarder, validate_on: int, max_new_tokens: int, turns: int = 1
    ) -> None:
        most = window(given.model) - max_new_tokens
        rows = [row for row in given.plan.rows if len(given.conversation.prompt(row.task.prompt)) <= most]
        if not rows:
            raise TrainingError(
                f"no request and an answer of {max_new_tokens} tokens fit into the {window(given.model)} of this model",
                hint="lower max_new_tokens, or use a model that reads longer texts",
            )
        mixed = random.Random(given.seed).sample(rows, k=len(rows))
        held = held_for_validation(validate_on, len(mixed))
        self.learned: list[TrainRow] = mixed[held:]
        self._left_out = len(given.plan.rows) - len(rows)
        self._given, self._rewarder, self._tokens, self._turns = given, rewarder, max_new_tokens, turns
        self._rows = mixed[:held]
        self._before: dict[str, float] = remembered(given.work, "validation", self._scores)

    def output(self, steps: int, note: str = "") -> StageOutput:
        """Return what the stage did: it is not kept where the rows of a skill got worse.

        Raises:
            TrainingError: too many answers could not be judged.
        """
        before, after, rewarder = self._before, agreed(self._scores()), self._rewarder
        means = [fmean(scores.values()) if scores else 0.0 for scores in (before, after)]
        figures = {"validation_before": means[0], "validation_after": means[1]}
        self._given.report(steps, {**figures, "judged": rewarder.judged, "errored": rewarder.errored})
        worse = [skill for skill, score in after.items() if score < before[skill]]
        if worse:
            return StageOutput(steps, False, f"it made validation rows of {', '.join(worse)} worse")
        left_out = f"{self._left_out} rows left out, too long for this model" if self._left_out else ""
        return StageOutput(steps, note="; ".join(filter(None, (note, left_out))))

    def _scores(self) -> dict[str, float]:
        return greedy_scores(self._given, self._rows, self._rewarder, self._tokens, self._turns)

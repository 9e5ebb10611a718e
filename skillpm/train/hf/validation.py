"""The gate of a stage that refines: rows that it never learns from, and what the greedy answers to them were worth."""

from __future__ import annotations

import random
from statistics import fmean

from skillpm.errors import TrainingError
from skillpm.model.training import StageInput, StageOutput, TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.hf.checkpoint import remembered
from skillpm.train.hf.model import window
from skillpm.train.hf.rollout import GREEDY_ROWS, Playing, play
from skillpm.train.hf.together import agreed
from skillpm.train.refining import Refining, held_for_validation


class Validation:
    """Some rows of a stage, kept out of it.

    Args:
        stage: as it is asked.
        given: its input.

    Attributes:
        learned: the other rows, mixed.
        rewarder: judges the answers.

    Raises:
        TrainingError: no row leaves room for an answer, or too many answers could not be judged.
    """

    def __init__(self, stage: Refining, given: StageInput) -> None:
        tasks = {row.task.key: row.task for row in given.plan.rows}
        self.rewarder = Rewarder(tasks, given.judge, stage.max_error_share, given.prefetch)
        self._given = given
        self._how = Playing(1, 0.0, stage.max_new_tokens, GREEDY_ROWS, 0, getattr(stage, "turns", 1))
        most = window(given.model) - stage.max_new_tokens
        rows = [row for row in given.plan.rows if len(given.conversation.prompt(row.task.prompt)) <= most]
        if not rows:
            raise TrainingError(
                f"no request and an answer of {stage.max_new_tokens} tokens fit into the {window(given.model)} of this "
                "model",
                hint="lower max_new_tokens, or use a model that reads longer texts",
            )
        mixed = random.Random(given.seed).sample(rows, k=len(rows))
        held = held_for_validation(stage.validate_on, len(mixed))
        self.learned: list[TrainRow] = mixed[held:]
        self._left_out = len(given.plan.rows) - len(rows)
        self._rows = mixed[:held]
        self._before: dict[str, float] = remembered(given.work, "validation", self._scores)

    def output(self, steps: int, note: str = "") -> StageOutput:
        """Return what the stage did: it is not kept where the rows of a skill got worse.

        Raises:
            TrainingError: too many answers could not be judged.
        """
        before, after, rewarder = self._before, agreed(self._scores()), self.rewarder
        means = [fmean(scores.values()) if scores else 0.0 for scores in (before, after)]
        figures = {"validation_before": means[0], "validation_after": means[1]}
        self._given.report(steps, {**figures, "judged": rewarder.judged, "errored": rewarder.errored})
        worse = [skill for skill, score in after.items() if score < before[skill]]
        if worse:
            return StageOutput(steps, False, f"it made validation rows of {', '.join(worse)} worse")
        left_out = f"{self._left_out} rows left out, too long for this model" if self._left_out else ""
        return StageOutput(steps, note="; ".join(filter(None, (note, left_out))))

    def _scores(self) -> dict[str, float]:
        """Return the mean score of the greedy answers to each skill's rows."""
        if not self._rows:
            return {}
        groups = play(self._given, self._given.model, self._rows, self._how, self.rewarder)
        return self.rewarder.mean_scores([played.episode for (played,) in groups])

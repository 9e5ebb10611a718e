"""The gate of a stage that refines: rows that it never learns from, and what the greedy answers to them were worth."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from statistics import fmean

from skillpm.errors import TrainingError
from skillpm.formats.printable import printable
from skillpm.model.training import StageInput, StageOutput, TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.hf.checkpoint import remembered
from skillpm.train.hf.model import window
from skillpm.train.hf.rollout import GREEDY_ROWS, Drawing, Playing, play
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
        self._how = Playing(Drawing(1, 0.0, stage.max_new_tokens, GREEDY_ROWS, 0), getattr(stage, "turns", 1))
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
        self._before: list[_Answer] = remembered(given.work, "validation_answers", self._answers)

    def output(self, steps: int, note: str = "", rewards: Sequence[float] = ()) -> StageOutput:
        """Return what the stage did: it is not kept where the rows of a skill got worse.

        Args:
            steps: that were made.
            note: of a stage that is kept.
            rewards: of its steps, where it was paid.

        Raises:
            TrainingError: too many answers could not be judged.
        """
        before, after, rewarder = self._before, agreed(self._answers()), self.rewarder
        scores = [self._scores(answers) for answers in (before, after)]
        means = [fmean(score.values()) if score else 0.0 for score in scores]
        figures = {"validation_before": means[0], "validation_after": means[1]}
        self._given.report(steps, {**figures, "judged": rewarder.judged, "errored": rewarder.errored})
        worse = [skill for skill, score in scores[1].items() if score < scores[0][skill]]
        if worse:
            told = f"it made validation rows of {', '.join(worse)} worse{_while_paid_more(rewards)}"
            return StageOutput(steps, False, f"{told}; {self._example(worse, before, after)}")
        left_out = f"{self._left_out} rows left out, too long for this model" if self._left_out else ""
        return StageOutput(steps, note="; ".join(filter(None, (note, left_out))))

    def _answers(self) -> list[_Answer]:
        """Return the greedy answer to each row, and its score."""
        if not self._rows:
            return []
        groups = play(self._given, self._given.model, self._rows, self._how, self.rewarder)
        episodes = [played.episode for (played,) in groups]
        judgements = self.rewarder.judge(episodes)
        return [(item.completion, one.verdict.score) for item, one in zip(episodes, judgements, strict=True)]

    def _scores(self, answers: Sequence[_Answer]) -> dict[str, float]:
        """Return the mean score by skill, of answers that could be judged, 0 where none could."""
        scores: dict[str, list[float]] = {row.task.skill: [] for row in self._rows}
        for row, (_, score) in zip(self._rows, answers, strict=True):
            if score is not None:
                scores[row.task.skill].append(score)
        return {skill: sum(judged) / max(1, len(judged)) for skill, judged in scores.items()}

    def _example(self, skills: Collection[str], before: Sequence[_Answer], after: Sequence[_Answer]) -> str:
        """Return the request to some skills whose answer lost the most, with both answers."""
        rows = zip(self._rows, before, after, strict=True)
        theirs = (item for item in rows if item[0].task.skill in skills)
        row, old, new = min(theirs, key=lambda item: (item[2][1] or 0) - (item[1][1] or 0))
        answers = " and now ".join(f"{_quoted(text)} ({score or 0:.2g})" for text, score in (old, new))
        return f"{_quoted(row.task.request)} was answered {answers}"


_Answer = tuple[str, float | None]  # a text and its score, None where it could not be judged
_SHOWN = 120  # characters of a request and of an answer


def _quoted(text: str) -> str:
    return f"`{printable(text[:_SHOWN])}`"


def _while_paid_more(rewards: Sequence[float]) -> str:
    """Return words for a stage that learned to be paid, and not what it was paid for; empty if its rewards fell."""
    half = len(rewards) // 2
    begun, ended = (fmean(part) if half else 0.0 for part in (rewards[:half], rewards[len(rewards) - half :]))
    return f" while its reward rose from {begun:.3g} to {ended:.3g}: reward hacking?" if ended > begun else ""

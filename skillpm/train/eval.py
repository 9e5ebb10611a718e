"""The kind ``eval``: the model as it stands answers held-out rows; ``hf/eval.py`` runs it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field

from skillpm.model.training import Material, Positive, Stage, StageName, StagePlan


class Eval(Stage):
    """Greedy answers to held-out rows, judged by the skills' verifiers; it changes no weights.

    Attributes:
        limit: held-out rows of each skill that are asked; by default as many as `data.evaluate`.
        batch_size: answers that are written side by side.
        max_new_tokens: of one answer.
        turns: answers in one episode, at most, where a skill has an environment.
    """

    kind: Literal["eval"]
    name: StageName = "eval"
    limit: Positive | None = None
    batch_size: Positive = 16
    max_new_tokens: Positive = 128
    turns: Annotated[int, Field(ge=1, le=64)] = 4


def plan_eval(stage: Eval, material: Material) -> StagePlan:
    """Plan one answer to each of the first rows of each skill."""
    asked: Counter[str] = Counter()
    rows = []
    for row in material.held_out:
        asked[row.task.skill] += 1
        if asked[row.task.skill] <= (stage.limit or material.evaluate):
            rows.append(row)
    return StagePlan(len(rows), tuple(rows))

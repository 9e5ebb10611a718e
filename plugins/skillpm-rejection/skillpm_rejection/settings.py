"""The kind ``rejection``: its settings and its plan, without torch."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from skillpm.plugin import Material, Positive, Rate, Stage, StageName, StagePlan


class Rejection(Stage):
    """Fine-tuning on the model's own best answers (RAFT, arXiv 2304.06767).

    Attributes:
        rounds: of sampling, judging and fine-tuning.
        samples: answers to each task in a round.
        accept: the score from which an answer is good enough.
        epochs: passes over a round's accepted answers.
        max_length: tokens; a longer row is left out.
        max_error_share: stop when more of a round's answers could not be judged.
    """

    kind: Literal["rejection"]
    name: StageName = "rejection"
    rounds: Positive = 2
    samples: Positive = 4
    accept: Annotated[float, Field(ge=0, le=1)] = 1.0
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    max_new_tokens: Positive = 96
    epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    batch_size: Positive = 2
    learning_rate: Rate = 2e-4
    max_length: Positive = 1024
    max_error_share: Annotated[float, Field(ge=0, le=1)] = 0.2


def plan_rejection(stage: Rejection, material: Material) -> StagePlan:
    """Plan at most so many steps: every row may be answered well enough in every round."""
    steps = math.ceil(len(material.refine) * stage.epochs / stage.batch_size)
    return StagePlan(stage.rounds * steps, material.refine)

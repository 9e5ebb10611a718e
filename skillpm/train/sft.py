"""The kind ``sft``: supervised fine-tuning on the expected answers; ``hf/sft.py`` runs it.

Defaults: a learning rate some ten times that of full fine-tuning ("LoRA Without Regret", 10.64434/tml.20250929).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from skillpm.model.training import Material, Positive, Rate, RowLength, Stage, StageName, StagePlan


class Sft(Stage):
    """Supervised fine-tuning on the expected answers; only the answer's tokens are learned.

    Attributes:
        epochs: passes over the rows.
        batch_size: rows in one forward and backward pass.
        accumulate: passes of one optimiser step; half the batch and twice the passes is the same step in less memory.
        learning_rate: of the adapter's matrices A, or of all weights.
        lora_plus: how many times faster its matrices B learn (LoRA+, arXiv 2402.12354); 1 for plain LoRA.
        scheduler: how the rate falls.
        warmup: share of the steps in which the learning rate rises.
        max_length: tokens; a longer row is left out.
    """

    kind: Literal["sft"]
    name: StageName = "sft"
    epochs: Annotated[float, Field(gt=0, le=1000)] = 1.0
    batch_size: Positive = 2
    accumulate: Positive = 1
    learning_rate: Rate = 7e-4
    lora_plus: Annotated[float, Field(ge=1, le=1000)] = 4.0
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.08
    max_length: RowLength = 1024


def plan_sft(stage: Sft, material: Material) -> StagePlan:
    """Plan one pass over the answers of the training rows for each epoch."""
    return StagePlan(steps_of(stage, sum(1 + len(row.first) for row in material.train)), material.train)


def steps_of(stage: Sft, answers: int) -> int:
    """Return the optimiser steps on so many answers; the last step of a pass may have fewer."""
    return math.ceil(math.ceil(answers / (stage.batch_size * stage.accumulate)) * stage.epochs)

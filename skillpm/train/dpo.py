"""The kind ``dpo``: direct preference optimisation on pairs that the verifiers make; ``hf/dpo.py`` runs it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from skillpm.formats.document import PlacedValueError
from skillpm.model.training import Material, Positive, Rate, RowLength, StageName, StagePlan
from skillpm.train.refining import Refining


class Dpo(Refining):
    """Direct preference optimisation (arXiv 2305.18290): of two answers to a task the verifier's better one is chosen.

    Attributes:
        chosen: gold takes the expected answer, best the best of the sampled ones; the worst sampled one is rejected.
        generations: answers that are sampled for each row.
        epochs: passes over the pairs.
        batch_size: pairs in one forward and backward pass.
        accumulate: passes of one optimiser step.
        beta: how firmly the model is held to what it was when the stage began.
        loss: sigmoid, or ipo (arXiv 2310.12036), which does not overfit to certain pairs.
        sft_weight: of the chosen answer's own loss, added to that of the pair.
        max_length: tokens; a longer pair is left out.
    """

    kind: Literal["dpo"]
    name: StageName = "dpo"
    chosen: Literal["gold", "best"] = "gold"
    generations: Positive = 4
    epochs: Annotated[float, Field(gt=0, le=1000)] = 1.0
    batch_size: Positive = 4
    accumulate: Positive = 1
    learning_rate: Rate = 5e-5
    scheduler: Literal["cosine", "linear", "constant"] = "linear"
    beta: Annotated[float, Field(gt=0, le=10)] = 0.1
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    sft_weight: Annotated[float, Field(ge=0, le=100)] = 0.0
    max_length: RowLength = 1024

    @model_validator(mode="after")
    def _can_make_pairs(self) -> Dpo:
        if self.chosen == "best" and self.generations == 1:
            raise PlacedValueError(
                "one answer is both the best and the worst, so it makes no pair",
                place=("generations",),
                hint="sample more answers, such as `generations: 4`, or take the expected one: `chosen: gold`",
            )
        return self


def plan_dpo(stage: Dpo, material: Material) -> StagePlan:
    """Plan at most so many steps: every row may have a pair."""
    return StagePlan(steps_of(stage, len(material.refine)), material.refine)


def steps_of(stage: Dpo, pairs: int) -> int:
    """Return the optimiser steps on so many pairs; the last step of a pass may have fewer."""
    return math.ceil(math.ceil(pairs / (stage.batch_size * stage.accumulate)) * stage.epochs)

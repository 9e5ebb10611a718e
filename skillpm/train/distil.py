"""The kind ``distil``: on-policy distillation from a larger model, or of a skill's text; ``hf/distil.py`` runs it."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from skillpm.model.training import SELF, Material, ModelName, Positive, RowLength, StageName, StagePlan
from skillpm.train.refining import Engine, Refining


class Distil(Refining):
    """On-policy distillation (GKD, arXiv 2306.13649): the model answers, a teacher says how likely each token is.

    Attributes:
        teacher: self is the model as it was when the stage began; or a larger one with the same tokenizer.
        context: the teacher reads the skill's text before the request, so that the text moves into the weights.
        steps: optimiser steps.
        prompts: prompts of one step, each answered once; all rows where there are fewer.
        micro_batch: answers in one forward and backward pass; fewer take less memory.
        max_length: tokens of the teacher's prompt and an answer; a longer row is left out.
        rollouts: who samples the answers that are learned from: own, the process that trains, or vllm, a server of it.
    """

    kind: Literal["distil"]
    name: StageName = "distil"
    teacher: ModelName = SELF
    context: bool = True
    steps: Positive = 50
    prompts: Positive = 8
    micro_batch: Positive = 8
    max_length: RowLength = 4096
    rollouts: Engine = "own"

    @model_validator(mode="after")
    def _teaches_something(self) -> Distil:
        if self.teacher == SELF and not self.context:
            raise ValueError("without `context` the teacher `self` has nothing to teach; name a larger model")
        return self


def plan_distil(stage: Distil, material: Material) -> StagePlan:
    """Plan the steps on the rows to refine: their requests count, their expected answers only for the validation."""
    return StagePlan(stage.steps, material.refine)

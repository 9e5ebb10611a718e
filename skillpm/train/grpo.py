"""The kind ``grpo``: group-relative policy optimisation against the skills' own verifiers; ``hf/grpo.py`` runs it.

Defaults: no KL term, clip-higher 0.28, no division by the group's standard deviation (Dr. GRPO, arXiv 2503.20783; DAPO,
arXiv 2503.14476), truncated completions masked.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from skillpm.model.training import (
    Material,
    Positive,
    Rate,
    Stage,
    StageName,
    StagePlan,
)


class Grpo(Stage):
    """Group-relative policy optimisation (arXiv 2402.03300) against the skills' own verifiers.

    Attributes:
        steps: optimiser steps.
        prompts: prompts of one step; all rows where there are fewer.
        generations: completions of each prompt, the group.
        screen: rows that are tried before the first step, to refine on those whose answers differ in pay; 0 for none.
        validate_on: rows kept out of the stage; where its greedy answers to them get worse, the stage is taken back.
        rewards: weights by reward name, for every skill that has a reward of that name.
        max_error_share: stop when more of a step's answers could not be judged.
    """

    kind: Literal["grpo"]
    name: StageName = "grpo"
    steps: Positive = 10
    prompts: Positive = 8
    generations: Annotated[int, Field(ge=2)] = 4
    screen: Annotated[int, Field(ge=0)] = 64
    validate_on: Annotated[int, Field(ge=0)] = 48
    learning_rate: Rate = 1e-4
    scheduler: Literal["cosine", "linear", "constant"] = "constant"
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    max_new_tokens: Positive = 96
    epsilon: Rate = 0.2
    epsilon_high: Rate = 0.28
    rewards: dict[str, float] = Field(default_factory=lambda: {"graded": 1.0})
    max_error_share: Annotated[float, Field(ge=0, le=1)] = 0.2

    @field_validator("rewards")
    @classmethod
    def _pays_something(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("name at least one reward")
        return value


def held_for_validation(stage: Grpo, rows: int) -> int:
    """Return how many of a stage's rows are kept out of it, at most a third."""
    return min(stage.validate_on, rows // 3)


def plan_grpo(stage: Grpo, material: Material) -> StagePlan:
    """Plan the steps on the rows to refine, with a column for each reward that a skill has."""
    return StagePlan(stage.steps, material.refine, material.columns(stage.name, stage.rewards))

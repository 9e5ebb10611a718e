"""The kinds ``grpo`` and ``rloo``: learning from verdicts on groups of sampled answers; ``hf/grpo.py`` runs them.

Defaults: no KL term, clip-higher 0.28, no division by the group's standard deviation (Dr. GRPO, arXiv 2503.20783; DAPO,
arXiv 2503.14476), truncated completions masked.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from skillpm.formats.document import PlacedValueError
from skillpm.model.training import Material, Positive, StageName, StagePlan
from skillpm.train.refining import Engine, Refining, held_for_validation

Clip = Annotated[float, Field(gt=0, le=1000)]
Weight = Annotated[float, Field(ge=-1000, le=1000)]
_CLIP = {"gspo": (3e-4, 4e-4), "cispo": (0.2, 5.0)}  # of the papers: 2507.18071, 2506.13585
_USUAL = (0.2, 0.28)  # DAPO


class Sampled(Refining):
    """What the kinds have in common that learn from groups of sampled answers.

    Attributes:
        steps: optimiser steps.
        prompts: prompts of one step; all rows where there are fewer.
        generations: completions of each prompt, the group.
        updates: optimiser steps on the answers of one rollout; from the second on, ratios are clipped.
        micro_batch: completions in one forward and backward pass; fewer take less memory.
        refill: rounds in which a step asks other prompts in place of those whose answers were paid alike; 0 for none.
        kl: weight of the divergence from the model as it was when the stage began; 0 for none.
        rewards: weights by reward name, for every skill that has a reward of that name.
        rollouts: who samples the answers that are learned from: own, the process that trains, or vllm, a server of it.
    """

    steps: Positive = 10
    prompts: Positive = 8
    generations: Annotated[int, Field(ge=2)] = 4
    updates: Annotated[int, Field(ge=1, le=64)] = 1
    micro_batch: Positive = 8
    refill: Annotated[int, Field(ge=0, le=16)] = 1
    kl: Annotated[float, Field(ge=0, le=1000)] = 0.0
    rewards: dict[str, Weight] = Field(default_factory=lambda: {"graded": 1.0})
    rollouts: Engine = "own"

    @field_validator("rewards")
    @classmethod
    def _pays_something(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("name at least one reward")
        return value

    @property
    def clip(self) -> tuple[float, float]:
        """How far down and up a ratio may go."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _clips_no_lower_upwards(self) -> Self:
        low, high = self.clip
        if high < min(low, 1):  # no ratio is below 0, so an epsilon of 1 or more leaves it free downwards
            raise PlacedValueError(
                f"{high:g} is below `epsilon`, {low:g}",
                place=("epsilon_high",),
                hint=f"raise it: `epsilon_high: {low:g}` clips as far up as down",
            )
        return self


class Grpo(Sampled):
    """Group-relative policy optimisation (arXiv 2402.03300) against the skills' own verifiers.

    Attributes:
        loss: dr_grpo (arXiv 2503.20783), dapo (2503.14476), grpo (2402.03300), cispo (2506.13585) or gspo (2507.18071).
        epsilon: how far down a ratio may go; by default what the paper of the loss has.
        epsilon_high: how far up.
        turns: answers in one episode, at most, where a skill has an environment.
    """

    kind: Literal["grpo"]
    name: StageName = "grpo"
    loss: Literal["dr_grpo", "dapo", "grpo", "cispo", "gspo"] = "dr_grpo"
    epsilon: Clip | None = None
    epsilon_high: Clip | None = None
    turns: Annotated[int, Field(ge=1, le=64)] = 4

    @property
    def clip(self) -> tuple[float, float]:
        """By default what the paper of the loss has."""
        low, high = _CLIP.get(self.loss, _USUAL)
        return self.epsilon or low, self.epsilon_high or high


class Rloo(Sampled):
    """REINFORCE with the other answers to a prompt as the baseline (arXiv 2402.14740), whole answers as actions.

    Attributes:
        epsilon: how far down the ratio of an answer may go.
        epsilon_high: how far up.
    """

    kind: Literal["rloo"]
    name: StageName = "rloo"
    epsilon: Clip = 0.2
    epsilon_high: Clip = 0.28

    @property
    def clip(self) -> tuple[float, float]:
        """The same for all losses."""
        return self.epsilon, self.epsilon_high


def prompts_of_step(stage: Sampled, rows: int) -> int:
    """Return how many prompts a step has: no more than there are rows to learn from."""
    return min(stage.prompts, rows - held_for_validation(stage.validate_on, rows))


def plan_sampled(stage: Sampled, material: Material) -> StagePlan:
    """Plan the steps on the rows to refine, with a column for each reward that a skill has."""
    return StagePlan(stage.steps, material.refine, material.columns(stage.name, stage.rewards))

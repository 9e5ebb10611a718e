"""What the kinds of stages have in common that learn from answers of the model itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skillpm.model.training import Positive, Rate, Stage

Engine = Literal["own", "vllm"]
"""Who samples the answers that are learned from."""


class Refining(Stage):
    """A stage that samples answers, and is held to rows that it never learns from.

    Attributes:
        learning_rate: of the optimiser.
        scheduler: how the rate falls.
        temperature: of the sampling.
        max_new_tokens: of one answer.
        validate_on: rows kept out of the stage; where its greedy answers to them get worse, the stage is taken back.
        max_error_share: stop when more of the answers could not be judged.
    """

    learning_rate: Rate = 1e-4
    scheduler: Literal["cosine", "linear", "constant"] = "constant"
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    max_new_tokens: Positive = 96
    validate_on: Annotated[int, Field(ge=0, le=10_000_000)] = 48
    max_error_share: Annotated[float, Field(ge=0, le=1)] = 0.2


def samples_with_vllm(stage: Stage) -> bool:
    """Does a stage learn from answers that vLLM samples?"""
    return getattr(stage, "rollouts", "own") == "vllm"


def held_for_validation(validate_on: int, rows: int) -> int:
    """Return how many of a stage's rows are kept out of it, at most a third."""
    return min(validate_on, rows // 3)

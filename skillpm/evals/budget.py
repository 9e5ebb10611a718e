"""What an evaluation may take: tokens, time and money. What was not asked for want of them is counted apart."""

from __future__ import annotations

import time
from dataclasses import dataclass

from skillpm.errors import UsageError
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.evaluation import Arm
from skillpm.model.ports import Completion

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Money for a million tokens of prompts and of answers, in any currency."""

    prompt: float
    answer: float

    def of(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Return what some tokens cost."""
        return (self.prompt * prompt_tokens + self.answer * answer_tokens) / _MILLION


@dataclass(frozen=True, slots=True)
class Spent:
    """What answers took; ``cost`` is in the currency of the price, None without one."""

    prompt_tokens: int
    completion_tokens: int
    cost: float | None


def spent(arm: Arm) -> Spent:
    """Return the tokens of an arm's answers, and their cost at the recorded price of a million."""
    outcomes = outcomes_of(arm)
    prompt, answer = outcomes.prompt_tokens, outcomes.completion_tokens
    match arm.settings.get("price"):
        case [int() | float() as of_prompt, int() | float() as of_answer]:
            return Spent(prompt, answer, Price(of_prompt, of_answer).of(prompt, answer))
    return Spent(prompt, answer, None)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be taken; no bound where None.

    Attributes:
        max_tokens_total: of prompts and answers together.
        max_minutes: of the clock.
        max_cost: in the currency of the price.
    """

    max_tokens_total: int | None = None
    max_minutes: float | None = None
    max_cost: float | None = None
    price: Price | None = None


class Budget:
    """Counts what is taken. Answers that an earlier command has kept cost nothing."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._begin = time.monotonic()
        self._prompt = self._answer = 0

    def take(self, completion: Completion) -> None:
        """Count an answer. Raises UsageError if its tokens are limited, and it does not say how many there are."""
        if completion.remembered or completion.finish_reason == "too_long":
            return
        counted = self._limits.max_tokens_total is not None or self._limits.max_cost is not None
        if counted and not completion.counted:
            raise UsageError(
                "the model does not say how many tokens an answer took, so no limit of tokens or cost can be kept",
                hint="use `--max-minutes`, and `--resume` to keep the answers so far",
            )
        self._prompt += completion.prompt_tokens
        self._answer += completion.completion_tokens

    @property
    def deadline(self) -> float | None:
        """When the time is over, in seconds of ``time.monotonic``."""
        minutes = self._limits.max_minutes
        return None if minutes is None else self._begin + 60 * minutes

    @property
    def reached(self) -> str | None:
        """The name of the limit that is reached, or None."""
        limits = self._limits
        cost = 0.0 if limits.price is None else limits.price.of(self._prompt, self._answer)
        taken = {
            "max_tokens_total": self._prompt + self._answer,
            "max_minutes": (time.monotonic() - self._begin) / 60,
            "max_cost": cost,
        }
        bounds = ((name, getattr(limits, name), amount) for name, amount in taken.items())
        return next((name for name, most, amount in bounds if most is not None and amount >= most), None)

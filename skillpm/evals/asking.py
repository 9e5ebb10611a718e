"""How policies are asked, and which arm of an evaluation their answers belong to."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from skillpm.contract.native import AnswerForm
from skillpm.evals.budget import Limits
from skillpm.evals.figures import GRAMMAR

TURNS = 4  # answers in one episode, where nobody says how many


@dataclass(frozen=True, slots=True)
class Asking:
    """How policies are asked.

    Attributes:
        max_new_tokens: an answer is cut off after this many tokens, and recorded as ``length``.
        batch_size: prompts completed at once.
        limit: at most this many tasks of each task set; all where None.
        skill_text: also ask with the skills' text in the prompt.
        tool_schemas: also ask with names, descriptions and schemas of the tools in the prompt.
        seed: chooses the tasks where there is a limit, and draws answers where there is a temperature.
        repeats: how often each task is asked.
        temperature: 0 for greedy answers.
        dtype: of a model's weights; ``auto`` is what the processor has units for.
        answer_form: how the model writes a tool call; ``json`` is the form of our prompts.
        chat_template_kwargs: of the model's template; where None, those of the training, else such as end thinking.
        constrain: also ask with answers that can only be what the contract accepts.
        turns: answers in one episode, at most, where a skill has an environment.
        blind: ask one candidate the blind suites, and nothing else.
    """

    max_new_tokens: int = 128
    batch_size: int = 16
    limit: int | None = None
    skill_text: bool = False
    tool_schemas: bool = False
    seed: int = 0
    repeats: int = 1
    temperature: float = 0.0
    limits: Limits = field(default_factory=Limits)
    dtype: str = "auto"
    answer_form: AnswerForm = "json"
    constrain: Literal["contract"] | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    turns: int = TURNS
    blind: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What an arm records of it."""
        price = self.limits.price
        settings = {
            "max_new_tokens": self.max_new_tokens,
            "batch_size": self.batch_size,
            "answer_form": None if self.answer_form == "json" else self.answer_form,
            "seed": self.seed if self.limit is not None or self.temperature else None,
            "limit": self.limit,
            "repeats": self.repeats if self.repeats > 1 else None,
            "temperature": self.temperature or None,
            "turns": None if self.turns == TURNS else self.turns,
            "price": None if price is None else [price.prompt, price.answer],
        }
        return {name: value for name, value in settings.items() if value is not None}

    def seed_of(self, repeat: int) -> int:
        """Return the seed of one round of answers, below 2**31."""
        return random.Random(f"{self.seed} {repeat}").getrandbits(31)


@dataclass(frozen=True, slots=True)
class ArmLabel:
    """Which arm the answers belong to; recorded, not acted upon.

    Attributes:
        model: the base model as the person named it.
        skill_text: does the prompt hold the skill's text?
        tool_schemas: does it hold the schemas of the tools?
        adapter: the adapter on top of the model, relative to the run folder, or None.
        constrained: can answers only be what the contract accepts?
    """

    name: str
    model: str
    skill_text: bool = False
    tool_schemas: bool = False
    adapter: str | None = None
    constrained: bool = False

    def with_grammar(self) -> ArmLabel:
        """Return the label of the same arm, held to the contract."""
        return replace(self, name=self.name + GRAMMAR, constrained=True)

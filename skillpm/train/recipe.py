"""The recipe of a training run: one YAML document, every field of which ``--set a.b=c`` can change.

Defaults and their sources: LoRA on all linear layers, alpha 32, no dropout, a learning rate some ten times that of full
fine-tuning ("LoRA Without Regret", 10.64434/tml.20250929); GRPO with no KL term, clip-higher 0.28, no division by the
group's standard deviation (Dr. GRPO, arXiv 2503.20783; DAPO, arXiv 2503.14476), truncated completions masked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from skillpm.errors import DocumentError, UsageError
from skillpm.model.document import Document, model_errors
from skillpm.model.strict import read_yaml

__all__ = ["Data", "Grpo", "Lora", "Recipe", "Sft", "Stage", "load_recipe"]

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
StageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Data(Document):
    """How many rows are made for each skill.

    Attributes:
        rows: to learn from in SFT stages.
        refine: kept away from SFT for the stages that refine by reward; with 0 they use the same rows.
        held_out: with values and phrasings that training never shows, to measure with.
    """

    rows: Positive = 400
    refine: Annotated[int, Field(ge=0)] = 64
    held_out: Annotated[int, Field(ge=0)] = 50


class Lora(Document):
    """Low-rank adaptation (arXiv 2106.09685)."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


class Sft(Document):
    """Supervised fine-tuning on the expected answers; only the answer's tokens are learned.

    Attributes:
        learning_rate: of the adapter's matrices A.
        lora_plus: how many times faster its matrices B learn (LoRA+, arXiv 2402.12354); 1 for plain LoRA.
        warmup: share of the steps in which the learning rate rises.
        max_length: tokens; a longer row is left out.
    """

    kind: Literal["sft"]
    name: StageName = "sft"
    epochs: Annotated[float, Field(gt=0)] = 1.0
    batch_size: Positive = 2
    learning_rate: Rate = 7e-4
    lora_plus: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 4.0
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.08
    max_length: Positive = 1024


class Grpo(Document):
    """Group-relative policy optimisation (arXiv 2402.03300) against the skills' own verifiers.

    Attributes:
        steps: optimiser steps.
        prompts: prompts of one step.
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


Stage = Annotated[Sft | Grpo, Field(discriminator="kind")]


class Recipe(Document):
    """Everything that decides a run beside the skills themselves."""

    recipe: Annotated[int, Field(ge=1, le=1)] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")] = "run"
    model: str = "smollm2-135m"
    skills: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    data: Data = Data()
    lora: Lora = Lora()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = (Sft(kind="sft"), Grpo(kind="grpo"))
    evaluate: bool = False

    @model_validator(mode="after")
    def _stage_names_are_unique(self) -> Recipe:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages have one name: {', '.join(names)}; give each a `name`")
        return self


def load_recipe(path: Path | None, text: str | None, changes: tuple[str, ...]) -> Recipe:
    """Read a recipe and apply ``--set`` changes.

    Args:
        path: for messages; None for the default recipe.
        text: the YAML, or None for the default recipe.
        changes: ``a.b=value``; a stage is addressed by its name: ``stages.sft.epochs=2``.

    Raises:
        DocumentError: the recipe is wrong, with path and line.
        UsageError: a change is wrong.
    """
    name = str(path) if path else "recipe"
    root = read_yaml(text, path=name) if text is not None else {}
    root = {} if root is None else root
    if not isinstance(root, dict):
        raise DocumentError("must be a mapping", path=name, line=1)
    recipe = _validated(root, name)
    if not changes:
        return recipe
    document = recipe.model_dump(mode="json")
    for change in changes:
        _apply(document, change)
    return _validated(document, "--set")


def _validated(root: dict[str, Any], path: str) -> Recipe:
    try:
        return Recipe.model_validate(root)
    except ValidationError as error:
        first = model_errors(error, root, path=path)[0]
        hint = "`skillpm schema recipe` shows every field"
        raise DocumentError(first.rule, path=path, line=first.line, hint=hint) from None


def _apply(document: dict[str, Any], change: str) -> None:
    keys, equals, value = change.partition("=")
    steps = keys.split(".")
    if not equals or not all(steps):
        raise UsageError(f"`--set {change}` is not a change", hint="write `--set key.key=value`")
    node: Any = document
    for step in steps[:-1]:
        node = _child(node, step, change)
    if not isinstance(node, dict):
        raise UsageError(f"`--set {change}`: `{steps[-2]}` has no fields", hint="see `skillpm train --dry-run`")
    node[steps[-1]] = read_yaml(value, path=f"--set {change}")


def _child(node: Any, step: str, change: str) -> Any:
    if isinstance(node, dict) and step in node:
        return node[step]
    stages = [item for item in node if item.get("name") == step] if isinstance(node, list) else []
    if stages:
        return stages[0]
    known = sorted(node) if isinstance(node, dict) else [item["name"] for item in node if isinstance(item, dict)]
    raise UsageError(f"`--set {change}`: no `{step}`", hint=f"known here: {', '.join(known)}")

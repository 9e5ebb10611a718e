"""What a run will do, worked out without torch: rows, reward columns and their weights, steps.

``skillpm train --dry-run`` prints it and stops.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillpm.errors import UsageError
from skillpm.model.name import did_you_mean
from skillpm.model.training import Material, Stage, StagePlan, Trainer, TrainRow
from skillpm.train.eval import Eval
from skillpm.train.kinds import BUILT_IN, Kinds
from skillpm.train.recipe import Data, Recipe
from skillpm.train.sft import Sft

_WORD = re.compile(r"[^\W\d]+")
REFINE_SHARE = 4  # at most one row of 4 is kept from SFT


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One stage: what was asked, who runs it, and what that comes to."""

    settings: Stage
    trainer: Trainer
    plan: StagePlan

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "name": self.settings.name,
            "kind": self.settings.kind,
            "trainer": self.trainer.origin,
            "steps": self.plan.steps,
            "rows": len(self.plan.rows),
            "rewards": {column.name: column.weight for column in self.plan.columns},
        }


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """A whole run.

    Attributes:
        recipe: what was asked.
        material: what its stages may learn from, and are measured with.
        stages: in order.
        notes: what is not as the recipe asks.
        coverage: of each skill: (tool, argument, class, training rows, held-out rows).
    """

    recipe: Recipe
    material: Material
    stages: tuple[PlannedStage, ...]
    notes: tuple[str, ...] = ()
    coverage: Mapping[str, Sequence[tuple[str, str, str, int, int]]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        skills = sorted({row.task.skill for row in self.material.train})

        def counts(rows: Sequence[TrainRow]) -> dict[str, int]:
            return {skill: sum(row.task.skill == skill for row in rows) for skill in skills}

        return {
            "model": self.recipe.model,
            "seed": self.recipe.seed,
            "rows": counts(self.material.train),
            "refine": counts(self.material.refine),
            "held_out": counts(self.material.held_out),
            "stages": [stage.document() for stage in self.stages],
            "coverage": {skill: [list(row) for row in rows] for skill, rows in self.coverage.items()},
            "notes": list(self.notes),
            "recipe": self.recipe.model_dump(mode="json"),
        }


def make_plan(
    recipe: Recipe,
    kinds: Kinds,
    rows: Sequence[TrainRow],
    held_out: Sequence[TrainRow],
    rewards: Mapping[str, Sequence[str]],
    coverage: Mapping[str, Sequence[tuple[str, str, str, int, int]]] | None = None,
) -> TrainPlan:
    """Work a run out.

    Args:
        recipe: what was asked.
        kinds: of stages; those of the recipe are among them.
        rows: rows to train on, all skills mixed.
        held_out: rows to measure with, of which the first few of a skill are a fair sample.
        rewards: the names of each skill's rewards.
        coverage: what the rows of each skill show, for the dry run.

    Raises:
        UsageError: there is nothing to train on, a stage names a reward that no skill has, or has nothing to ask.
        PluginError: a plugin's trainer could not plan its stage.
    """
    if not rows:
        raise UsageError(
            f"no training tasks: {', '.join(sorted(rewards))}",
            hint="they need seeds or synthesis.yaml; see `skillpm show`",
        )
    learned, refine = _divide(rows, recipe.data.refine)
    notes = _shortages(learned, refine, recipe.data.refine)
    material = Material(_balanced(learned, recipe.data), refine, rewards, tuple(held_out), recipe.data.evaluate)
    trainers = [kinds.trainers[stage.kind] for stage in recipe.stages]
    stages = [
        PlannedStage(stage, trainer, trainer.plan(stage, _material_of(stage, material)))
        for stage, trainer in zip(recipe.stages, trainers, strict=True)
    ]
    for stage in stages:
        if not stage.trainer.trains and not stage.plan.rows:
            raise _asks_nothing(stage.settings.name)
    return TrainPlan(recipe, material, tuple(stages), notes, coverage or {})


def _material_of(stage: Stage, material: Material) -> Material:
    """Return what a stage may learn from.

    SFT learns the answers that come `first`, and a stage of several turns may give them. Any other would learn to
    guess.

    Raises:
        UsageError: no row is left.
    """
    if isinstance(stage, Sft | Eval) or getattr(stage, "turns", 1) > 1:
        return material
    train, refine = (tuple(row for row in rows if not row.first) for rows in (material.train, material.refine))
    if not train or not refine:
        raise UsageError(
            f"stage {stage.name}: every row has answers that come `first`, and it takes one answer to each",
            hint="learn them by `sft`, or by `grpo` with `turns: 3`",
        )
    return replace(material, train=train, refine=refine)


def check_stages(recipe: Recipe, kinds: Kinds, rewards: Mapping[str, Sequence[str]]) -> None:
    """Refuse stages that cannot work, before a row is made.

    Args:
        recipe: what was asked.
        kinds: of stages; those of the recipe are among them.
        rewards: the names of each skill's rewards.

    Raises:
        UsageError: a stage names a reward that no skill has, or has nothing to ask, or none trains.
    """
    if not any(kinds.trainers[stage.kind].trains for stage in recipe.stages):
        raise UsageError(
            "no stage of the recipe trains", hint="add one such as `{kind: sft}`; `skillpm eval` measures a model"
        )
    for stage in recipe.stages:
        if isinstance(stage, Eval) and not (recipe.data.held_out and (stage.limit or recipe.data.evaluate)):
            raise _asks_nothing(stage.name)
    nothing = Material((), (), rewards)
    for stage in recipe.stages:
        if stage.kind in BUILT_IN.trainers:  # a plugin's plan may count on rows
            BUILT_IN.trainers[stage.kind].plan(stage, nothing)


def check_lengths(recipe: Recipe, texts: Sequence[str]) -> None:
    """Refuse a ``max_length`` into which no row fits, where no tokenizer is there that could count.

    Vocabularies split a text into words first, so each of its words has a token of its own, or several.

    Args:
        recipe: what was asked.
        texts: what each row says at least.

    Raises:
        UsageError: each text has more words than a stage takes tokens.
    """
    for stage in recipe.stages if texts else ():
        length = getattr(stage, "max_length", None) if stage.kind in BUILT_IN.trainers else None
        if length is None or any(_words(text) <= length for text in texts):
            continue
        shortest, default = min(map(_words, texts)), type(stage).model_fields["max_length"].default
        raise UsageError(
            f"stage {stage.name}: no row fits into {length} tokens: the shortest has {shortest} words or more",
            hint=f"--set stages.{stage.name}.max_length={max(default, 4 * shortest)}",
        )


def _words(text: str) -> int:
    return len(_WORD.findall(text))


def _asks_nothing(stage: str) -> UsageError:
    return UsageError(
        f"stage {stage}: there is no held-out row to ask",
        hint="set how many are made and asked: --set data.held_out=50 --set data.evaluate=20",
    )


def _balanced(rows: Sequence[TrainRow], data: Data) -> tuple[TrainRow, ...]:
    """Return the rows to imitate, at most as many of a skill as its cap says, and as often as its weight says.

    Raises:
        UsageError: a cap or a weight is of a skill that makes no rows, or leaves none of a skill.
    """
    skills = {row.task.skill for row in rows}
    for name in sorted((data.caps.keys() | data.weights.keys()) - skills):
        raise UsageError(
            f"`data` has a cap or a weight of {name[:80]}, which makes no rows", hint=did_you_mean(name, skills)
        )
    seen: Counter[str] = Counter()
    balanced: list[TrainRow] = []
    for row in rows:
        skill = row.task.skill
        seen[skill] += 1
        weight = data.weights.get(skill, 1.0) if seen[skill] <= data.caps.get(skill, len(rows)) else 0.0
        balanced += [row] * (int(seen[skill] * weight) - int((seen[skill] - 1) * weight))
    for name in sorted(skills - {row.task.skill for row in balanced}):
        raise UsageError(
            f"`data` leaves {name} without a row", hint=f"raise its weight or cap, or leave {name} out of `skills`"
        )
    return tuple(balanced)


def _shortages(train: Sequence[TrainRow], refine: Sequence[TrainRow], asked: int) -> tuple[str, ...]:
    """Say where a skill has fewer rows to refine on than were asked for."""
    shortages = []
    for skill in sorted({row.task.skill for row in train}) if asked else ():
        rows = sum(row.task.skill == skill for row in refine) if refine != train else 0
        if rows < asked:
            shortages.append(f"{skill}: {rows} of {asked} rows to refine on, at most a quarter of what rules made")
    return tuple(shortages)


def _divide(rows: Sequence[TrainRow], count: int) -> tuple[tuple[TrainRow, ...], tuple[TrainRow, ...]]:
    """Keep ``count`` rule-made rows of each skill from SFT, chosen by their keys, at most a quarter of them."""
    chosen: set[str] = set()
    for skill in {row.task.skill for row in rows}:
        keys = sorted(row.task.key for row in rows if row.task.skill == skill and row.task.origin == "rule")
        chosen.update(keys[: min(count, len(keys) // REFINE_SHARE)])
    if not chosen:
        return tuple(rows), tuple(rows)
    refine = tuple(row for row in rows if row.task.key in chosen)
    return tuple(row for row in rows if row.task.key not in chosen), refine

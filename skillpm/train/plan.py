"""What a run will do, worked out without torch: rows, reward columns and their weights, steps.

``skillpm train --dry-run`` prints it and stops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.errors import UsageError
from skillpm.model.task import Task
from skillpm.train.recipe import Grpo, Recipe, Sft

__all__ = ["RewardColumn", "StagePlan", "TrainPlan", "TrainRow", "make_plan"]


@dataclass(frozen=True, slots=True)
class TrainRow:
    """A task and the one text that a model is trained to answer."""

    task: Task
    answer: str


@dataclass(frozen=True, slots=True)
class RewardColumn:
    """One column that a trainer sees; it pays the rows of its own skill and says None to all others."""

    skill: str
    reward: str
    weight: float

    @property
    def name(self) -> str:
        """The qualified name, which is also the name in the metrics."""
        return f"{self.skill}:{self.reward}"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage: how many optimiser steps over how many rows."""

    name: str
    kind: str
    steps: int
    rows: int
    columns: tuple[RewardColumn, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        rewards = {column.name: column.weight for column in self.columns}
        return {"name": self.name, "kind": self.kind, "steps": self.steps, "rows": self.rows, "rewards": rewards}


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """A whole run.

    Attributes:
        recipe: what was asked.
        train: rows of the SFT stages.
        refine: rows of the stages that refine by reward.
        held_out: tasks to measure with.
        stages: in order.
    """

    recipe: Recipe
    train: tuple[TrainRow, ...]
    refine: tuple[TrainRow, ...]
    held_out: tuple[Task, ...]
    stages: tuple[StagePlan, ...]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        skills = sorted({row.task.skill for row in self.train})
        rows = {skill: sum(row.task.skill == skill for row in self.train) for skill in skills}
        refine = {skill: sum(row.task.skill == skill for row in self.refine) for skill in skills}
        held_out = {skill: sum(task.skill == skill for task in self.held_out) for skill in skills}
        return {
            "model": self.recipe.model,
            "seed": self.recipe.seed,
            "rows": rows,
            "refine": refine,
            "held_out": held_out,
            "stages": [stage.document() for stage in self.stages],
            "recipe": self.recipe.model_dump(mode="json"),
        }


def make_plan(
    recipe: Recipe, rows: Sequence[TrainRow], held_out: Sequence[Task], rewards: Mapping[str, Sequence[str]]
) -> TrainPlan:
    """Work a run out.

    Args:
        recipe: what was asked.
        rows: rows to train on, all skills mixed.
        held_out: rows to measure with.
        rewards: the names of each skill's rewards.

    Raises:
        UsageError: there is nothing to train on, or a stage names a reward that no skill has.
    """
    if not rows:
        raise UsageError(
            "the skills make no training tasks", hint="they need seeds or synthesis.yaml; see `skillpm show`"
        )
    train, refine = _divide(rows, recipe.data.refine)
    stages = []
    for stage in recipe.stages:
        if isinstance(stage, Sft):
            steps = math.ceil(len(train) * stage.epochs / stage.batch_size)
            stages.append(StagePlan(stage.name, stage.kind, steps, len(train)))
        else:
            columns = _columns(stage, rewards)
            stages.append(StagePlan(stage.name, stage.kind, stage.steps, len(refine), columns))
    return TrainPlan(recipe, train, refine, tuple(held_out), tuple(stages))


def _divide(rows: Sequence[TrainRow], count: int) -> tuple[tuple[TrainRow, ...], tuple[TrainRow, ...]]:
    """Keep ``count`` rule-made rows of each skill away from SFT, chosen by their keys, at most half of the skill's."""
    chosen: set[str] = set()
    for skill in {row.task.skill for row in rows}:
        keys = sorted(row.task.key for row in rows if row.task.skill == skill and row.task.origin == "rule")
        chosen.update(keys[: min(count, len(keys) // 2)])
    if not chosen:
        return tuple(rows), tuple(rows)
    refine = tuple(row for row in rows if row.task.key in chosen)
    return tuple(row for row in rows if row.task.key not in chosen), refine


def _columns(stage: Grpo, rewards: Mapping[str, Sequence[str]]) -> tuple[RewardColumn, ...]:
    for name in stage.rewards:
        if not any(name in names for names in rewards.values()):
            known = sorted({name for names in rewards.values() for name in names})
            raise UsageError(
                f"stage `{stage.name}` pays `{name}`, which no skill of this run has", hint=f"known: {', '.join(known)}"
            )
    return tuple(
        RewardColumn(skill, name, weight)
        for skill, names in sorted(rewards.items())
        for name, weight in stage.rewards.items()
        if name in names
    )

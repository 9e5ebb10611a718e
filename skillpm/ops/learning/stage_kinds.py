"""The kinds of training stages at hand.

A plugin's trainer is held to its word: what it brings, plans and returns is checked, and what it raises names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from skillpm.errors import PluginError, TrainingError
from skillpm.model.episode import Episode
from skillpm.model.training import Material, RewardColumn, Stage, StageInput, StageOutput, StagePlan, Trainer, TrainRow
from skillpm.runtime.collect import Given
from skillpm.runtime.guarded import blaming
from skillpm.runtime.host import Host
from skillpm.train.kinds import BUILT_IN, Kinds
from skillpm.train.recipe import recipe_model

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")


def stage_kinds(host: Host) -> Kinds:
    """Return the built-in kinds of stages and those of plugins.

    Raises:
        PluginError: a record is no trainer, or has a name that is built in or that another plugin's has.
    """
    found = [_held(item, host.source(item.plugin)) for item in host.trainers()]
    failed = tuple(
        f"{failure.plugin} failed: {failure.message}"
        for failure in host.failures
        if failure.hook in ("load", "skillpm_trainers")
    )
    return Kinds({**BUILT_IN.trainers, **{trainer.name: trainer for trainer in found}}, failed)


def _held(given: Given[Trainer], origin: str) -> Trainer:
    """Return a plugin's trainer, held to its word."""
    plugin, trainer = given.plugin, _trainer(given, origin)
    who = f"{plugin}: trainer `{trainer.name}`"

    def plan(stage: Stage, material: Material) -> StagePlan:
        with blaming(plugin, f"{who} cannot plan stage `{stage.name}`"):
            return _checked_plan(trainer.plan(stage, material), material, trains=trainer.trains)

    def load() -> Callable[[Stage, StageInput], StageOutput]:
        with blaming(plugin, f"{who} cannot be loaded"):
            try:
                run = trainer.load()
            except ImportError as error:
                raise TrainingError(
                    f"{who} needs packages that are not installed: {error}",
                    hint=f"install {origin} with all that it requires",
                ) from error
            _check(callable(run), f"`load` gave {_kind_of(run)}, not what runs a stage")

        def held_run(stage: Stage, work: StageInput) -> StageOutput:
            with blaming(plugin, f"{who} failed in stage `{stage.name}`"):
                return _checked_output(run(stage, work), None if trainer.trains else work.plan)

        return held_run

    return replace(trainer, plan=plan, load=load, origin=origin)


def _trainer(given: Given[Trainer], origin: str) -> Trainer:
    trainer = given.record
    broken = _broken(trainer)
    if broken:
        who = f"{given.plugin}: trainer `{trainer.name}`"
        raise PluginError(f"{who}: {broken}", hint=f"{origin} brings it; see docs/hooks.md", plugin=given.plugin)
    with blaming(given.plugin, f"{given.plugin}: the settings of trainer `{trainer.name}` cannot be checked"):
        recipe_model(Kinds({**BUILT_IN.trainers, trainer.name: trainer})).model_validate({})
    return trainer


def _broken(trainer: Trainer) -> str | None:
    """Return why a trainer cannot be taken."""
    if trainer.name in BUILT_IN.trainers:
        return "a kind of this name is built in; give it a name of your own"
    if not _NAME.match(trainer.name):
        return "a kind is at most 32 small letters, digits and hyphens"
    if not (isinstance(trainer.settings, type) and issubclass(trainer.settings, Stage)):
        return "`settings` is not a subclass of skillpm.plugin.Stage"
    kind = trainer.settings.model_fields["kind"].annotation
    if get_origin(kind) is not Literal or get_args(kind) != (trainer.name,):
        return f'`settings` does not say `kind: Literal["{trainer.name}"]`'
    if not (callable(trainer.plan) and callable(trainer.load)):
        return "`plan` and `load` are functions"
    return None


def _checked_plan(plan: Any, material: Material, *, trains: bool) -> StagePlan:
    _check(isinstance(plan, StagePlan), f"it gave {_kind_of(plan)}, not a StagePlan")
    _check(_is_count(plan.steps), f"it plans {plan.steps!r} steps")
    rows = (*material.train, *material.refine) if trains else material.held_out
    known = {row.task.key for row in rows}
    _check(
        isinstance(plan.rows, tuple) and all(isinstance(row, TrainRow) and row.task.key in known for row in plan.rows),
        "its rows are not a tuple of rows of its material",
    )
    _check(
        isinstance(plan.columns, tuple)
        and all(isinstance(c, RewardColumn) and c.reward in material.rewards.get(c.skill, ()) for c in plan.columns),
        "its columns are not a tuple of rewards of its material",
    )
    checked: StagePlan = plan
    return checked


def _checked_output(output: Any, measured: StagePlan | None) -> StageOutput:
    """Return what a stage did; ``measured`` is the plan of one that does not train."""
    _check(isinstance(output, StageOutput), f"it gave {_kind_of(output)}, not a StageOutput")
    _check(_is_count(output.steps), f"it says that it took {output.steps!r} steps")
    _check(isinstance(output.kept, bool) and isinstance(output.note, str), "`kept` is a bool and `note` a text")
    if measured is not None:
        answers = output.answers if isinstance(output.answers, tuple) else ()
        asked = [one.task.key if isinstance(one, Episode) else "" for one in answers]
        _check(asked == [row.task.key for row in measured.rows], "its answers are not an episode for each row")
        _check(output.kept, "it changes no weights, so there are none to take back")
    checked: StageOutput = output
    return checked


def _check(true: bool, otherwise: str) -> None:
    if not true:
        raise TypeError(otherwise)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kind_of(value: Any) -> str:
    return f"a {type(value).__name__}"

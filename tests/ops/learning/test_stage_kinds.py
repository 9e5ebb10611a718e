"""Kinds of training stages: a trainer keeps its promises whoever brings it, and a plugin's that does not is named."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from skillpm.errors import DocumentError, PluginError, TrainingError, UsageError
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.training import (
    Material,
    Positive,
    RewardColumn,
    Stage,
    StageInput,
    StageName,
    StageOutput,
    StagePlan,
    Trainer,
    TrainRow,
)
from skillpm.ops.learning.stage_kinds import stage_kinds
from skillpm.runtime.host import Host
from skillpm.train.kinds import BUILT_IN, Kinds
from skillpm.train.recipe import load_recipe
from tests.conftest import ROOT, importing_from


class Acme(Stage):
    """Settings of a plugin's kind."""

    kind: Literal["acme"]
    name: StageName = "acme"
    steps: Positive = 3


def row(number: int) -> TrainRow:
    task = Task.of(skill="a", system="", request=f"r{number}", expected={}, split="train", origin="rule")
    return TrainRow(task, "{}")


MATERIAL = Material((row(0), row(1)), (row(2), row(3)), {"a": ["graded"]}, (row(4), row(5)), 2)
ANSWERS = tuple(Episode.answering(item.task, "{}") for item in MATERIAL.held_out)
GIVEN = StageInput(
    None, None, StagePlan(1, ()), lambda episodes: [], lambda episodes: None, 0, Path(), lambda step, figures: None
)


def acme(
    name: Any = "acme",
    settings: Any = Acme,
    plan: Any = lambda stage, material: StagePlan(stage.steps, material.refine),
    load: Any = lambda: lambda stage, given: StageOutput(stage.steps),
) -> Trainer:
    return Trainer(name, settings, plan, load)


@pytest.fixture
def kinds_of() -> Callable[..., Kinds]:
    """Return what asks for the kinds where one distribution brings each of these records."""

    def ask(*records: Any) -> Kinds:
        from skillpm.hookspecs import hookimpl

        class Plugin:
            def __init__(self, record: Any) -> None:
                self.record = record

            @hookimpl
            def skillpm_trainers(self) -> Any:
                if isinstance(self.record, Exception):
                    raise self.record
                return [self.record]

        host = Host()
        for number, record in enumerate(records):
            host.register(Plugin(record), f"plugin{number}", f"dist{number} 1.{number}")
        return stage_kinds(host)

    return ask


@pytest.fixture(params=["sft", "grpo", "eval", "acme", "rejection"])
def trainer(request: pytest.FixtureRequest, kinds_of: Callable[..., Kinds]) -> Iterator[Trainer]:
    """Each kind in turn: built in, a plugin's, and that of plugins/skillpm-rejection."""
    with importing_from(str(ROOT / "plugins/skillpm-rejection")):
        from skillpm_rejection import skillpm_trainers

        yield kinds_of(acme(), *skillpm_trainers()).trainers[request.param]


def test_a_trainer_keeps_its_promises(trainer: Trainer) -> None:
    """Defaults are whole, the settings survive a recipe, the plan is of the material, the origin has a version."""
    stage = trainer.settings.model_validate({"kind": trainer.name})
    assert (stage.kind, stage.name) == (trainer.name, trainer.name)
    assert trainer.settings.model_validate(stage.model_dump(mode="json")) == stage
    plan = trainer.plan(stage, MATERIAL)
    learned = (MATERIAL.train, MATERIAL.refine)
    assert plan.steps > 0 and plan.rows in (learned if trainer.trains else [MATERIAL.held_out])
    assert plan == trainer.plan(stage, MATERIAL)
    assert len(trainer.origin.split()) == 2
    recipe = load_recipe(None, f"stages: [{{kind: {trainer.name}}}]", (), Kinds({**BUILT_IN.trainers, "x": trainer}))
    assert type(recipe.stages[0]) is trainer.settings and recipe.model_dump()["stages"][0] == stage.model_dump()


def test_settings_are_checked_with_path_and_line_and_can_be_set(kinds_of: Callable[..., Kinds]) -> None:
    kinds = kinds_of(acme())
    text = "recipe: 1\nstages:\n  - kind: sft\n  - kind: acme\n    steps: 0\n"
    with pytest.raises(DocumentError, match=r"r\.yaml:5: .*steps"):
        load_recipe(Path("r.yaml"), text, (), kinds)
    recipe = load_recipe(None, "stages: [{kind: acme, name: mine}]", ("stages.mine.steps=8",), kinds)
    assert recipe.stages == (Acme(kind="acme", name="mine", steps=8),)
    with pytest.raises(UsageError, match="unknown key"):
        load_recipe(None, "stages: [{kind: acme}]", ("stages.acme.stepz=8",), kinds)


def test_an_unknown_kind_is_told_what_there_is_and_what_failed(kinds_of: Callable[..., Kinds]) -> None:
    """Near names, the plugins' kinds with who brings them, and the plugin that could not be asked."""
    kinds = kinds_of(acme(), RuntimeError("no licence"))
    with pytest.raises(DocumentError, match=r"r\.yaml:1: `stages\.0`: no kind of stage `acmee`") as caught:
        load_recipe(Path("r.yaml"), "stages: [{kind: acmee}]", (), kinds)
    hint = str(caught.value.hint)
    assert "did you mean `acme`?" in hint and "acme (dist0 1.0)" in hint and "sft (skillpm-core" in hint
    assert "plugin1 failed: RuntimeError: no licence" in hint


class Wrong(Stage):
    kind: Literal["other"]


BROKEN = [
    (acme(name="sft"), "built in"),
    (acme(name="Acme"), "small letters"),
    (acme(settings={"type": "object"}), "subclass of skillpm.plugin.Stage"),
    (acme(settings=Wrong), 'kind: Literal["acme"]'),
    (acme(plan=None), "functions"),
    (type("Else", (), {"name": "acme"})(), "not a skillpm.plugin.Trainer"),
]


@pytest.mark.parametrize(("record", "reason"), BROKEN)
def test_what_is_no_trainer_names_its_plugin(kinds_of: Callable[..., Kinds], record: Any, reason: str) -> None:
    with pytest.raises(PluginError, match="plugin0: trainer") as caught:
        kinds_of(record)
    assert reason in caught.value.message and "dist0 1.0" in str(caught.value.hint)


class Unfinished(Stage):
    kind: Literal["acme"]
    name: str = "acme"
    schedule: NoSuchType  # type: ignore[name-defined]  # noqa: F821


def test_settings_that_cannot_be_checked_name_their_plugin(kinds_of: Callable[..., Kinds]) -> None:
    with pytest.raises(PluginError, match="plugin0: the settings of trainer `acme` cannot be checked"):
        kinds_of(acme(settings=Unfinished))


class Loose(Stage):
    kind: Literal["acme"]
    name: str = "../acme"


@pytest.mark.parametrize("text", ["{kind: acme}", "{kind: acme, name: a/b}", "{kind: acme, name: ''}"])
def test_a_stage_s_name_can_be_that_of_a_folder(kinds_of: Callable[..., Kinds], text: str) -> None:
    with pytest.raises(DocumentError, match="is not a stage name"):
        load_recipe(None, f"stages: [{text}]", (), kinds_of(acme(settings=Loose)))


def test_two_of_one_name_name_both_plugins(kinds_of: Callable[..., Kinds]) -> None:
    with pytest.raises(PluginError, match="plugin0 and plugin1 both bring a trainer called `acme`"):
        kinds_of(acme(), acme())


def stranger(stage: Any, material: Material) -> StagePlan:
    return StagePlan(1, (row(9),))


PLANS = [
    (lambda stage, material: 1 / 0, "ZeroDivisionError"),
    (lambda stage, material: sys.exit(0), "SystemExit"),
    (lambda stage, material: {"steps": 3}, "gave a dict, not a StagePlan"),
    (lambda stage, material: StagePlan(-1, ()), "plans -1 steps"),
    (lambda stage, material: StagePlan(True, ()), "plans True steps"),
    (lambda stage, material: StagePlan(1, "rows"), "rows"),  # type: ignore[arg-type]
    (stranger, "rows of its material"),
    (lambda stage, material: StagePlan(1, material.held_out), "rows of its material"),
    (lambda stage, material: StagePlan(1, (), (RewardColumn("a", "gold", 1.0),)), "rewards of its material"),
]


@pytest.mark.parametrize(("plan", "reason"), PLANS)
def test_a_plan_that_fails_or_is_nonsense_names_the_trainer(
    kinds_of: Callable[..., Kinds], plan: Any, reason: str
) -> None:
    with pytest.raises(PluginError, match="plugin0: trainer `acme` cannot plan stage `acme`") as caught:
        kinds_of(acme(plan=plan)).trainers["acme"].plan(Acme(kind="acme"), MATERIAL)
    assert reason in caught.value.message


RUNS = [
    (lambda stage, given: 1 / 0, "ZeroDivisionError"),
    (lambda stage, given: sys.exit(0), "SystemExit"),
    (lambda stage, given: (3, True), "gave a tuple, not a StageOutput"),
    (lambda stage, given: StageOutput(1.5), "took 1.5 steps"),  # type: ignore[arg-type]
    (lambda stage, given: StageOutput(1, "yes"), "`kept` is a bool"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("run", "reason"), RUNS)
def test_a_run_that_fails_or_is_nonsense_names_the_trainer(
    kinds_of: Callable[..., Kinds], run: Any, reason: str
) -> None:
    with pytest.raises(PluginError, match="plugin0: trainer `acme` failed in stage `acme`") as caught:
        kinds_of(acme(load=lambda: run)).trainers["acme"].load()(Acme(kind="acme"), GIVEN)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (StageOutput(2), "an episode for each row"),
        (StageOutput(2, answers=("yes", "no")), "an episode for each row"),  # type: ignore[arg-type]
        (StageOutput(2, answers=(Episode.answering(row(4).task, "{}"),)), "an episode for each row"),
        (StageOutput(2, kept=False, answers=ANSWERS), "none to take back"),
        (StageOutput(2, answers=ANSWERS), None),
    ],
)
def test_a_stage_that_measures_returns_an_answer_to_each_of_its_rows(
    kinds_of: Callable[..., Kinds], output: StageOutput, reason: str | None
) -> None:
    record = replace(acme(load=lambda: lambda stage, given: output), trains=False)
    given = replace(GIVEN, plan=StagePlan(2, MATERIAL.held_out))
    with pytest.raises(PluginError, match=reason) if reason else nullcontext():
        assert kinds_of(record).trainers["acme"].load()(Acme(kind="acme"), given) is output


def test_a_trainer_that_cannot_be_loaded_is_named_before_anything_is_made(kinds_of: Callable[..., Kinds]) -> None:
    def missing() -> Any:
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401

    with pytest.raises(
        TrainingError, match=r"`acme` needs packages that are not installed: .*no_such_library"
    ) as caught:
        kinds_of(acme(load=missing)).trainers["acme"].load()
    assert "dist0 1.0" in str(caught.value.hint)
    with pytest.raises(PluginError, match="cannot be loaded: TypeError: `load` gave a NoneType"):
        kinds_of(acme(load=lambda: None)).trainers["acme"].load()


def test_an_error_made_for_people_comes_through(kinds_of: Callable[..., Kinds]) -> None:
    def stop(stage: Any, given: Any) -> Any:
        raise TrainingError("it diverged")

    with pytest.raises(TrainingError, match=r"^it diverged$"):
        kinds_of(acme(load=lambda: stop)).trainers["acme"].load()(Acme(kind="acme"), GIVEN)


def test_planning_imports_no_torch() -> None:
    """All kinds, built in and of plugins/: heavy imports stand behind `load`."""
    code = (
        "import sys; from skillpm.train.kinds import BUILT_IN; from skillpm_rejection import skillpm_trainers\n"
        "assert list(skillpm_trainers())\n"
        "print([name for name in ('torch', 'trl', 'transformers') if name in sys.modules])"
    )
    path = f"{ROOT}:{ROOT / 'plugins/skillpm-rejection'}"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == [], done.stderr

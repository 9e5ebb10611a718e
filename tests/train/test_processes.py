"""How processes share the work of one recipe, and what cannot be shared."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from skillpm.errors import TrainingError, UsageError
from skillpm.model.training import Stage, StagePlan
from skillpm.train.distil import Distil
from skillpm.train.dpo import Dpo
from skillpm.train.eval import Eval
from skillpm.train.grpo import Grpo
from skillpm.train.kinds import GRPO
from skillpm.train.plan import PlannedStage
from skillpm.train.processes import Job, Launch, check_rows, check_shares, launched, read_launch
from skillpm.train.recipe import Recipe
from skillpm.train.sft import Sft
from tests.train.test_plan import plan

SHARED = [
    (Sft(kind="sft", batch_size=4), {1, 2, 4}),
    (Sft(kind="sft", batch_size=1, accumulate=6), {1, 2, 3, 6}),  # passes of one row are shared, too
    (Dpo(kind="dpo", batch_size=3), {1, 3}),
    (Grpo(kind="grpo", prompts=6, generations=4), {1, 2, 3, 4, 6, 8}),  # a group may be shared, too
    (Distil(kind="distil", prompts=4), {1}),
    (Eval(kind="eval"), set(range(1, 9))),  # rows need not be shared evenly
]


@pytest.mark.parametrize(("stage", "numbers"), SHARED, ids=lambda value: getattr(value, "kind", ""))
def test_processes_share_a_step_evenly_or_are_refused(stage: Stage, numbers: set[int]) -> None:
    recipe = Recipe(stages=(stage,))
    for number in range(1, 9):
        launch = read_launch(number, None)
        if number in numbers:
            check_shares(recipe, launch)
        else:
            with pytest.raises(UsageError, match=f"shared by {number}|trains with one process"):
                check_shares(recipe, launch)


def test_more_processes_than_rows_are_refused() -> None:
    check_rows(plan(), Launch(16))
    with pytest.raises(UsageError, match="its 16 rows are fewer than 17 processes"):
        check_rows(plan(), Launch(17))


def test_a_step_that_has_fewer_prompts_than_asked_for_is_shared_or_refused() -> None:
    stage, whole = Grpo(kind="grpo", prompts=20, generations=3, validate_on=0), plan()
    planned = PlannedStage(stage, GRPO, StagePlan(stage.steps, whole.material.refine))
    check_shares(Recipe(stages=(stage,)), Launch(5))
    check_rows(replace(whole, stages=(planned,)), Launch(4))
    with pytest.raises(UsageError, match="a step of 48 rows cannot be shared by 5 processes") as refused:
        check_rows(replace(whole, stages=(planned,)), Launch(5))
    assert refused.value.hint == f"--set stages.{stage.name}.prompts=15", (
        "there are 16 rows, so more prompts are no help"
    )


def test_a_file_of_accelerate_is_handed_on_and_the_option_goes_before_its_number(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("distributed_type: MULTI_GPU\nnum_machines: 1\nnum_processes: 2\n")
    for asked, number in ((None, "2"), (4, "4")):
        launch = read_launch(asked, file)
        assert launch is not None
        command = launch.command("there")
        assert command[3:8] == ["accelerate.commands.launch", "--config_file", str(file), "--num_processes", number]
        assert command[-1] == "there"


def test_processes_that_cannot_start_are_an_error_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(Launch, "command", lambda self, address: ["sh", "-c", "echo OSError: no room >&2; exit 1"])
    with (
        pytest.raises(TrainingError, match="could not be started: OSError: no room"),
        launched(Launch(2), Job(Recipe(), "a-model", None, {})),
    ):
        raise AssertionError("nothing stands ready")
    assert not list(tmp_path.iterdir())

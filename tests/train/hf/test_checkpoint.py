"""A run that is ended anywhere goes on to the same bytes."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skillpm.cli.output import PlainProgress
from skillpm.errors import StorageError, TrainingError
from skillpm.model.progress import Figure
from skillpm.model.training import Stage
from skillpm.train.grpo import Grpo
from skillpm.train.hf.sft import AnswerTrainer
from skillpm.train.hf.stages import Training, open_model, run_stages
from skillpm.train.plan import TrainPlan
from skillpm.train.processes import Job, Judging
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from tests.train.hf.test_stages import digest, plan_of, tell_nobody
from tests.train.hf.test_stages_kinds import SMALL, pay_by_text

pytestmark = pytest.mark.filterwarnings("default")


class Killed(BaseException):
    """The process is gone."""


class Killing(PlainProgress):
    """Ends the process at a step of a stage."""

    def __init__(self, stage: str, step: int) -> None:
        self._stage, self._step = stage, step

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        super().advance(count, note, figures)
        if self._title.startswith(self._stage) and self._done >= self._step:
            raise Killed


def each_step(*stages: Stage, rows: int = 24) -> TrainPlan:
    plan = plan_of(*stages, rows=rows)
    object.__setattr__(plan, "recipe", plan.recipe.model_copy(update={"checkpoint_seconds": 0.0}))
    return plan


def go(plan: TrainPlan, model: Path, target: Path, progress: Any = None) -> None:
    target.mkdir(exist_ok=True)
    opened = open_model(Job(plan.recipe, model))
    training = Training(opened, Judging(pay_by_text, tell_nobody), RunFolder(target), progress or PlainProgress())
    run_stages(plan, [stage.trainer.load() for stage in plan.stages], training)


@pytest.mark.slow
def test_sft_that_is_killed_anywhere_goes_on_to_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    """Within a pass, right behind one, before the first checkpoint, and twice."""
    plan = each_step(Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-2))  # 8 steps, 4 a pass
    go(plan, tiny_model, tmp_path / "straight")
    for kills in ([3], [5], [1, 7]):
        target = tmp_path / "-".join(map(str, kills))
        for step in kills:
            with pytest.raises(Killed):
                go(plan, tiny_model, target, Killing("sft", step))
            assert len(list((target / "stages/sft/work").glob("checkpoint-*"))) <= 1
        go(plan, tiny_model, target)
        assert same(target, tmp_path / "straight", "sft"), kills
        assert not (target / "stages/sft/work").exists()


class Interrupting(PlainProgress):
    """Has Ctrl-C pressed while the step after this one is made."""

    def __init__(self, step: int) -> None:
        self._step = step

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        super().advance(count, note, figures)
        if self._done == self._step:
            signal.raise_signal(signal.SIGINT)


def test_what_is_interrupted_in_its_last_step_makes_no_more_of_them(tiny_model: Path, tmp_path: Path) -> None:
    """Though the pass over the rows has further ones."""
    plan = each_step(Sft(kind="sft", epochs=0.75, batch_size=6, learning_rate=1e-2))  # 3 steps of 4
    go(plan, tiny_model, tmp_path / "straight")
    target = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        go(plan, tiny_model, target, Interrupting(2))
    assert [path.name for path in (target / "stages/sft/work").glob("checkpoint-*")] == ["checkpoint-3"]
    go(plan, tiny_model, target)
    assert same(target, tmp_path / "straight", "sft") and len(steps(target)) == 3


@pytest.mark.slow
def test_grpo_that_is_killed_goes_on_to_the_same_bytes(ending_model: Path, tmp_path: Path) -> None:
    """It goes on between two updates on one rollout, and then draws the rows that are due."""
    small = {**SMALL, "prompts": 6, "generations": 3, "max_new_tokens": 8, "temperature": 1.0}
    plan = each_step(Grpo(kind="grpo", **{**small, "steps": 6, "updates": 2, "refill": 2}))
    go(plan, ending_model, tmp_path / "straight")
    target = tmp_path / "killed"
    with pytest.raises(Killed):
        go(plan, ending_model, target, Killing("grpo", 4))
    (rollout,) = target.glob("stages/grpo/work/checkpoint-*/rollout-0-of-1.pt")
    of_old = rollout.rename(rollout.with_name("rollout.pt"))
    with pytest.raises(StorageError, match="has no rollout"):
        go(plan, ending_model, target)
    of_old.rename(rollout)
    go(plan, ending_model, target)
    assert same(target, tmp_path / "straight", "grpo")
    assert asked(target) == asked(tmp_path / "straight") and max(asked(target)) > 6


def asked(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["groups/asked"] for row in rows if "groups/asked" in row]


def same(one: Path, other: Path, stage: str) -> bool:
    return digest(one / "stages" / stage) == digest(other / "stages" / stage) and steps(one) == steps(other)


def steps(folder: Path) -> list[tuple[str, int]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["stage"], row["step"]) for row in rows if "loss" in row]


def test_a_damaged_checkpoint_is_named_and_the_stage_can_begin_without_it(tiny_model: Path, tmp_path: Path) -> None:
    plan = each_step(Sft(kind="sft", batch_size=12, learning_rate=1e-2))
    with pytest.raises(Killed):
        go(plan, tiny_model, tmp_path, Killing("sft", 2))
    (checkpoint,) = tmp_path.glob("stages/sft/work/checkpoint-*")
    (checkpoint / "optimizer.pt").write_bytes(b"no")
    with pytest.raises(StorageError, match=r"the checkpoint .* cannot be read: ") as refused:
        go(plan, tiny_model, tmp_path)
    assert refused.value.hint == "remove this folder: the stage begins again without it"
    shutil.rmtree(checkpoint)
    go(plan, tiny_model, tmp_path)
    assert (tmp_path / "stages/sft/stage.json").is_file()


def test_weights_that_are_lost_take_no_checkpoints_place(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = AnswerTrainer.compute_loss

    def lost(self: AnswerTrainer, *arguments: Any, **options: Any) -> Any:
        return loss(self, *arguments, **options) * (float("nan") if self.state.global_step == 2 else 1.0)

    monkeypatch.setattr(AnswerTrainer, "compute_loss", lost)
    with pytest.raises(TrainingError, match="stage sft: the gradient of step 3 is not finite"):
        go(each_step(Sft(kind="sft", batch_size=6)), tiny_model, tmp_path)
    assert [path.name for path in (tmp_path / "stages/sft/work").glob("checkpoint-*")] == ["checkpoint-2"]

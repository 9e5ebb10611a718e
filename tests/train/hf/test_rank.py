"""Two processes on the CPU train what one trains, with one judge, into one folder; and they end together."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from skillpm.cli.output import PlainProgress
from skillpm.errors import PluginError, TrainingError, UsageError
from skillpm.model.episode import Episode
from skillpm.model.ports import Observe
from skillpm.model.progress import Figure
from skillpm.model.verdict import Judgement
from skillpm.train.dpo import Dpo
from skillpm.train.eval import Eval
from skillpm.train.grpo import Grpo, Rloo
from skillpm.train.hf.stages import Training, open_model, run_stages
from skillpm.train.launch import Launch
from skillpm.train.plan import TrainPlan
from skillpm.train.processes import Job, Judging, launched
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from tests.train.hf.test_checkpoint import each_step
from tests.train.hf.test_rollout import look_once
from tests.train.hf.test_stages import plan_of, run, tell_nobody
from tests.train.hf.test_stages_kinds import pay_by_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]

PAIRS = Dpo(kind="dpo", batch_size=4, generations=4, validate_on=4, max_new_tokens=24)
TWO = Launch(2)
Watch = Callable[[int], None]


class Watched(PlainProgress):
    """Calls what a test does at a step."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        super().advance(count, note, figures)
        self._watch(self._done)


def interrupt(step: int) -> None:
    """Press Ctrl-C at the third step."""
    if step == 3:
        signal.raise_signal(signal.SIGINT)


def run_several(
    plan: TrainPlan,
    model: Path,
    target: Path,
    judge: Any = pay_by_text,
    watch: Watch = lambda step: None,
    observe: Observe | None = None,
    launch: Launch = TWO,
) -> list[Mapping[str, Any]]:
    target.mkdir(exist_ok=True)
    with launched(launch, Job(plan.recipe, model, None, {})) as (machine, learn):
        assert machine["processes"] == 2
        learn(plan, RunFolder(target), Judging(judge, tell_nobody, observe), Watched(watch), lambda row: None)
    return [json.loads(line) for line in (target / "metrics.jsonl").read_text().splitlines()]


def ranks() -> dict[int, psutil.Process]:
    """Return the processes that train for this one, by their numbers."""
    below = psutil.Process().children(recursive=True)
    started = [process for process in below if "torch.distributed.run" not in process.cmdline()]
    return {int(process.environ()["RANK"]): process for process in started if "RANK" in process.environ()}


def assert_same(one: Path, other: Path, stage: str, *figures: str) -> None:
    """The curve and the adapter are the same, up to rounding."""
    curves = []
    for folder in (one, other):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        steps = [row for row in rows if row["stage"] == stage and "loss" in row]
        curves.append([row[name] for row in steps for name in figures or ("loss",) if name in row])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4, abs=1e-4) and curves[0]
    weights = [load_file(path / f"stages/{stage}/adapter/adapter_model.safetensors") for path in (one, other)]
    assert max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]) < 1e-4
    learned = [torch.cat([value.flatten() for name, value in half.items() if "lora_B" in name]) for half in weights]
    assert (learned[0] - learned[1]).norm() < 0.01 * learned[0].norm(), "B begins with zeros"


def test_two_processes_train_what_one_trains(tiny_model: Path, tmp_path: Path) -> None:
    """SFT with a last step that not even each process has a row of, and DPO of the same answers."""
    judged: set[tuple[str, str]] = set()

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        judged.update((episode.task.key, episode.completion) for episode in episodes)
        return pay_by_text(episodes)

    sft = Sft(kind="sft", epochs=2, batch_size=2, accumulate=2, learning_rate=1e-3)
    plan = plan_of(sft, PAIRS, rows=25)
    alone = run(plan, tiny_model, tmp_path / "one", judge)
    by_one = judged.copy()
    judged.clear()
    together = run_several(plan, tiny_model, tmp_path / "two", judge)
    assert len(by_one & judged) > 0.9 * len(by_one), "the same answers, judged here"
    assert [(row["stage"], row["step"]) for row in alone] == [(row["stage"], row["step"]) for row in together]
    assert_same(tmp_path / "one", tmp_path / "two", "sft")


def test_two_processes_are_measured_as_one_is(tiny_model: Path, tmp_path: Path) -> None:
    """Of three rows one process has two, and both have the same answers."""
    sft = Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-2)
    plan = plan_of(Eval(kind="eval", limit=2, max_new_tokens=8), sft, held_out=3)
    run(plan, tiny_model, tmp_path / "one", pay_by_text)
    run_several(plan, tiny_model, tmp_path / "two")
    lines = [(tmp_path / name / "stages/eval/answers.jsonl").read_text().splitlines() for name in ("one", "two")]
    answers = [[Episode.model_validate_json(line) for line in part] for part in lines]
    shares = [[episode.usage.confidence for episode in part if episode.usage] for part in answers]
    assert shares[0] == pytest.approx(shares[1], abs=1e-4) and len(shares[0]) == 3, "up to rounding"
    texts = [[(episode.task.key, episode.completion, episode.finish_reason) for episode in part] for part in answers]
    assert texts[0] == texts[1]


def test_two_processes_refine_as_one_does(tiny_model: Path, tmp_path: Path) -> None:
    """GRPO, with two updates for one rollout, and RLOO: same answers, same curve. Two processes share a group."""
    shape: dict[str, Any] = {"steps": 4, "prompts": 3, "generations": 6, "micro_batch": 3, "max_new_tokens": 24}
    shape |= {"learning_rate": 1e-3, "validate_on": 0}
    stages = (Grpo(kind="grpo", updates=2, **shape), Rloo(kind="rloo", kl=0.1, **shape))
    plan = plan_of(*stages, rows=25)
    run(plan, tiny_model, tmp_path / "one", pay_by_text)
    run_several(plan, tiny_model, tmp_path / "two")
    for stage in stages:
        assert_same(tmp_path / "one", tmp_path / "two", stage.name, "loss", "reward", "groups/live", "grad_norm")


def test_two_processes_play_the_episodes_that_one_plays(ending_model: Path, tmp_path: Path) -> None:
    """The environment stands beside the person's process; each asks it about all episodes, in step."""
    shown: list[list[str]] = [[], []]

    def observing(place: int) -> Observe:
        def observe(episodes: Sequence[Episode]) -> list[Episode]:
            shown[place] += [episode.completion for episode in episodes]
            return look_once(episodes)

        return observe

    shape: dict[str, Any] = {"steps": 2, "prompts": 4, "generations": 3, "refill": 1, "temperature": 2.0}
    shape |= {"max_new_tokens": 16, "micro_batch": 6, "learning_rate": 1e-3, "validate_on": 3, "turns": 3}
    plan = plan_of(Grpo(kind="grpo", **shape), rows=12)
    opened, folder = open_model(Job(plan.recipe, ending_model)), RunFolder(tmp_path / "one")
    folder.path.mkdir()
    alone = Training(opened, Judging(pay_by_text, tell_nobody, observing(0)), folder, PlainProgress())
    run_stages(plan, [stage.trainer.load() for stage in plan.stages], alone)
    run_several(plan, ending_model, tmp_path / "two", observe=observing(1))
    assert shown[0] == shown[1] and len(shown[0]) > 12
    assert_same(tmp_path / "one", tmp_path / "two", "grpo", "loss", "reward", "groups/live", "grad_norm")


def test_an_interrupted_run_of_processes_goes_on_to_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    """Ctrl-C is for the person's process; the others end with it."""
    plan = each_step(Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-3))
    run_several(plan, tiny_model, tmp_path / "straight")

    with pytest.raises(KeyboardInterrupt):
        run_several(plan, tiny_model, tmp_path / "ended", watch=interrupt)
    assert len(list((tmp_path / "ended/stages/sft/work").glob("checkpoint-*"))) == 1
    run_several(plan, tiny_model, tmp_path / "ended")
    one, other = ((tmp_path / name / "stages/sft/adapter/adapter_model.safetensors") for name in ("straight", "ended"))
    assert one.read_bytes() == other.read_bytes()


def test_a_process_that_dies_ends_the_others_and_is_named(tiny_model: Path, tmp_path: Path) -> None:
    seen: list[psutil.Process] = []

    def kill(step: int) -> None:
        if step == 2:
            seen.extend(ranks().values())
            ranks()[1].send_signal(signal.SIGKILL)

    begun = time.monotonic()
    with pytest.raises(TrainingError, match="process 1 of 2 was ended by SIGKILL"):
        run_several(plan_of(Sft(kind="sft", epochs=500)), tiny_model, tmp_path, watch=kill)
    assert time.monotonic() - begun < 300
    assert len(seen) == 2 and psutil.wait_procs(seen, timeout=30)[1] == []


def test_what_a_process_refuses_is_said_once_and_before_there_is_a_plan(tiny_model: Path) -> None:
    plan = plan_of(Sft(kind="sft"))
    recipe = plan.recipe.model_copy(update={"layers": (7,)})
    with (
        pytest.raises(UsageError, match="layer 7 is not a layer of"),
        launched(Launch(2), Job(recipe, tiny_model, None, {})),
    ):
        raise AssertionError("nothing stands ready")
    assert ranks() == {}


def test_a_judge_that_fails_here_ends_the_run_with_its_error(tiny_model: Path, tmp_path: Path) -> None:
    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        raise PluginError("the verifier is gone")

    with pytest.raises(PluginError, match="the verifier is gone"):
        run_several(plan_of(PAIRS), tiny_model, tmp_path, judge)

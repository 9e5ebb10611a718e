"""SFT and GRPO on a tiny real model: they run through TRL, they learn, and they are reproducible."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from trl import SFTConfig

from skillpm.cli.output import PlainProgress
from skillpm.errors import DocumentError, TrainingError, UsageError
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.training import Stage, TrainRow
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.demonstration import demonstrations
from skillpm.train.grpo import Grpo
from skillpm.train.hf.loop import on_one_device
from skillpm.train.hf.packing import PrefixPacking
from skillpm.train.hf.policy import TransformersPolicy
from skillpm.train.hf.sft import check_loss
from skillpm.train.hf.stages import Training, open_model, run_stages
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import TrainPlan, make_plan
from skillpm.train.processes import Job, Judging
from skillpm.train.recipe import Data, Lora, Recipe
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from skillpm.train.template_arguments import TEMPLATE_ARGUMENTS

pytestmark = pytest.mark.filterwarnings("default")


def make_rows(count: int) -> list[TrainRow]:
    rows = []
    for number in range(count):
        skill = "even" if number % 2 == 0 else "odd"
        expected = {"tool": "dev", "args": {"port": 8000 + number % 3}}
        task = Task.of(
            skill=skill,
            system=f"{skill} skill",
            request=f"start {number}",
            expected=expected,
            split="train",
            origin="rule",
        )
        rows.append(TrainRow(task, json.dumps(expected)))
    return rows


def plan_of(*stages: Stage, rows: int = 24, held_out: int = 0) -> TrainPlan:
    recipe = Recipe(stages=stages, lora=Lora(rank=8), dtype="float32", data=Data(refine=0))
    made = make_rows(rows + held_out)
    return make_plan(recipe, BUILT_IN, made[:rows], made[rows:], {"even": ["graded"], "odd": ["graded"]})


def judge(episodes: Sequence[Episode]) -> list[Judgement]:
    """Pay for digits: a verdict that a policy can move in a few steps."""
    found = []
    for episode in episodes:
        share = sum(c.isdigit() for c in episode.completion) / max(1, len(episode.completion))
        found.append(Judgement(verdict=Verdict(status="failed", score=share), rewards={"graded": share}))
    return found


def tell_nobody(episodes: Sequence[Episode]) -> None:
    """Begin with nothing before it is asked for."""


def run(
    plan: TrainPlan,
    model: Path,
    target: Path,
    judging: Any = judge,
    prefetch: Any = tell_nobody,
    teachers: Any = None,
    observe: Any = None,
) -> list[Mapping[str, Any]]:
    target.mkdir(exist_ok=True)
    runners = [stage.trainer.load() for stage in plan.stages]
    opened = open_model(Job(plan.recipe, model, None, teachers or {}))
    training = Training(opened, Judging(judging, prefetch, observe), RunFolder(target), PlainProgress())
    try:
        run_stages(plan, runners, training)
    finally:
        opened.close()
    log = target / "metrics.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


def digest(stage: Path) -> str:
    return hashlib.sha256((stage / "adapter/adapter_model.safetensors").read_bytes()).hexdigest()


def test_answers_can_be_judged_while_others_are_written(tiny_model: Path, tmp_path: Path) -> None:
    """Whatever GRPO asks the judge, rolled out or for validation, was announced when the answer had ended."""
    announced: set[tuple[str, str]] = set()
    asked: set[tuple[str, str]] = set()

    def prefetch(episodes: Sequence[Episode]) -> None:
        announced.update((episode.task.key, episode.completion) for episode in episodes)

    def judging(episodes: Sequence[Episode]) -> list[Judgement]:
        asked.update((episode.task.key, episode.completion) for episode in episodes)
        assert asked <= announced
        return judge(episodes)

    stage = Grpo(
        kind="grpo", steps=1, prompts=4, generations=2, refill=1, validate_on=4, learning_rate=1e-3, max_new_tokens=8
    )
    with pytest.raises(TrainingError, match="every answer was cut off at 8 tokens, so nothing was learned"):
        run(plan_of(stage), tiny_model, tmp_path, judging, prefetch)

    assert len({key for key, _ in asked}) > stage.validate_on


def test_a_stage_whose_answers_are_all_right_has_nothing_to_learn_and_is_no_error(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def judging(episodes: Sequence[Episode]) -> list[Judgement]:
        return [Judgement(verdict=Verdict(status="passed", score=1.0), rewards={"graded": 1.0}) for _ in episodes]

    stage = Grpo(kind="grpo", steps=1, prompts=4, generations=2, validate_on=4, learning_rate=1e-3, max_new_tokens=8)
    run(plan_of(stage), tiny_model, tmp_path, judging)

    assert "taken back: every answer was right, so there was nothing to learn" in capsys.readouterr().err


def test_an_episode_is_learned_as_its_answers_are_behind_what_was_said_and_shown(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Rows with a look before their answer, and the same answers as rows of their own, give the same bytes."""

    def observe(episodes: Sequence[Episode]) -> list[Episode]:
        return [episode.shown("port 8001") for episode in episodes]

    def plan(rows: Sequence[TrainRow]) -> TrainPlan:
        stage = Sft(kind="sft", epochs=1, batch_size=3, learning_rate=1e-2)
        recipe = Recipe(stages=(stage,), lora=Lora(rank=8), dtype="float32", data=Data(refine=0))
        return make_plan(recipe, BUILT_IN, rows, (), {"even": ["graded"], "odd": ["graded"]})

    rows = [replace(row, first=('{"look": 1}',)) if place % 2 else row for place, row in enumerate(make_rows(12))]
    tasks = {row.task.skill: row.task for row in rows}
    alone = [
        TrainRow(tasks[one.skill].model_copy(update={"prompt": tuple(one.messages)}), one.answer)
        for one in demonstrations(rows, observe)
    ]

    log = run(plan(rows), tiny_model, tmp_path / "episodes", observe=observe)
    run(plan(alone), tiny_model, tmp_path / "alone")

    assert len(log) == plan(rows).stages[0].plan.steps == 6
    assert digest(tmp_path / "episodes/stages/sft") == digest(tmp_path / "alone/stages/sft")


def test_sft_learns_and_is_reproducible(tiny_model: Path, tmp_path: Path) -> None:
    """The loss falls, and the same seed gives the same adapter, byte for byte."""
    plan = plan_of(Sft(kind="sft", epochs=4, batch_size=6, learning_rate=1e-2))

    log = run(plan, tiny_model, tmp_path / "one")
    run(plan, tiny_model, tmp_path / "two")

    assert [row["step"] for row in log] == list(range(1, 17))
    assert all(0 <= row["mean_token_accuracy"] <= 1 for row in log)
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert digest(tmp_path / "one/stages/sft") == digest(tmp_path / "two/stages/sft")


def test_a_batch_holds_rows_of_one_skill(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve rows of each skill make four batches of six, none of them mixed: the trainer takes our order of rows."""
    batches: list[set[str]] = []
    pack = PrefixPacking.__call__

    def seen(self: PrefixPacking, features: Sequence[Mapping[str, Any]]) -> Any:
        batches.append({feature["group"] for feature in features})
        return pack(self, features)

    monkeypatch.setattr(PrefixPacking, "__call__", seen)
    run(plan_of(Sft(kind="sft", epochs=1, batch_size=6)), tiny_model, tmp_path)

    assert sorted(map(sorted, batches)) == [["even"], ["even"], ["odd"], ["odd"]]


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("llama", False),
        pytest.param("gpt2", False, marks=pytest.mark.slow),
        pytest.param("rwkv", True, marks=pytest.mark.slow),
    ],
)
def test_rows_are_updated_alone_where_padding_changes_them(
    tmp_path: Path, name: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model whose state runs over the padding would learn from other log-probabilities than it sampled."""
    from skillpm.train.hf.row_scores import GroupTrainer
    from tests.random_models import random_architecture, random_tokenizer

    taken: list[bool] = []
    scores = GroupTrainer._get_per_token_logps_and_entropies

    def seen(self: GroupTrainer, *arguments: Any, **options: Any) -> Any:
        found = scores(self, *arguments, **options)
        taken.append(bool(self.alone))
        return found

    monkeypatch.setattr(GroupTrainer, "_get_per_token_logps_and_entropies", seen)
    random_architecture(name).save_pretrained(tmp_path / "model")
    random_tokenizer().save_pretrained(tmp_path / "model")
    stage = Grpo(kind="grpo", steps=1, prompts=8, generations=4, refill=0, validate_on=0, max_new_tokens=48)
    run(plan_of(stage.model_copy(update={"temperature": 2.0})), tmp_path / "model", tmp_path)

    assert taken[-1] is alone


@pytest.mark.parametrize(
    "losses", [[0.4] * 20 + [5.1] * 20, [1.0] * 200 + [2.1] * 200, [0.4, 5.1], [0.4, 0.2, float("nan")]]
)
def test_a_loss_that_rose_is_refused_with_what_to_change(losses: list[float]) -> None:
    with pytest.raises(TrainingError, match="stage sft: the loss went from") as refusal:
        check_loss(Sft(kind="sft", learning_rate=0.8), losses)

    assert refusal.value.hint == "lower the learning rate: --set stages.sft.learning_rate=0.2"
    check_loss(Sft(kind="sft"), [2.0, 1.0, 0.5, 0.1, 0.3])
    check_loss(Sft(kind="sft"), [7.6, 9.2])  # two batches of a tiny model, which learned nothing between them


def test_a_stage_of_one_step_learns(tiny_model: Path, tmp_path: Path) -> None:
    """The warm-up does not begin at a learning rate of zero."""
    log = run(plan_of(Sft(kind="sft", batch_size=24, warmup=0.5), rows=24), tiny_model, tmp_path)

    assert [row["step"] for row in log] == [1]
    assert log[0]["learning_rate"] > 0
    weights = load_file(tmp_path / "stages/sft/adapter" / "adapter_model.safetensors")
    assert any(float(tensor.abs().max()) > 0 for name, tensor in weights.items() if "lora_B" in name)


def test_an_adapter_that_moves_by_less_than_weights_can_show_has_learned_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    stage = Sft(kind="sft", batch_size=6, learning_rate=1e-13)
    with pytest.raises(TrainingError, match="steps did not change the adapter"):
        run(plan_of(stage), tiny_model, tmp_path)


def test_a_step_takes_the_prompts_that_there_are(tiny_model: Path, tmp_path: Path) -> None:
    """More prompts a step than rows would make no step at all, and say that all went well."""
    stage = Grpo(kind="grpo", steps=2, prompts=64, generations=2, refill=0, validate_on=0, max_new_tokens=1)
    with pytest.raises(TrainingError, match="every answer was cut off at 1 tokens"):
        run(plan_of(stage, rows=6), tiny_model, tmp_path)


def test_an_adapter_is_asked_with_the_template_arguments_of_its_training(tiny_model: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        stages=(Sft(kind="sft"),), dtype="float32", data=Data(refine=0), chat_template_kwargs={"style": "terse"}
    )
    run(make_plan(recipe, BUILT_IN, make_rows(4), [], {"even": ["graded"], "odd": ["graded"]}), tiny_model, tmp_path)

    policy = TransformersPolicy(tiny_model, tmp_path / "stages/sft/adapter", dtype="float32")
    assert policy.settings["template_arguments"] == {"style": "terse"}
    (tmp_path / "stages/sft/adapter" / TEMPLATE_ARGUMENTS).write_text("[1]")
    with pytest.raises(DocumentError, match="expected an object"):
        TransformersPolicy(tiny_model, tmp_path / "stages/sft/adapter", dtype="float32")


@pytest.mark.parametrize(("module", "told"), [("nope", "no adapter fits"), ("lm_head", "which no stage trains")])
def test_target_modules_that_cannot_be_trained_are_refused(tiny_model: Path, module: str, told: str) -> None:
    recipe = Recipe(stages=(Sft(kind="sft"),), lora=Lora(target_modules=(module,)), dtype="float32")
    with pytest.raises(UsageError, match=told):
        open_model(Job(recipe, tiny_model))


@pytest.mark.parametrize("ratio", [1.0, 8.0])
def test_the_b_matrices_learn_lora_plus_times_faster(tiny_model: Path, tmp_path: Path, ratio: float) -> None:
    """B starts at zero and Adam's first step is as long as the learning rate, so B shows the rate it learned with."""
    rate = 1e-3
    stage = Sft(
        kind="sft", batch_size=6, learning_rate=rate, lora_plus=ratio, scheduler="constant", warmup=0.0, epochs=1
    )

    run(plan_of(stage, rows=6), tiny_model, tmp_path)

    weights = load_file(tmp_path / "stages/sft/adapter" / "adapter_model.safetensors")
    longest = max(float(tensor.abs().max()) for name, tensor in weights.items() if "lora_B" in name)
    assert longest == pytest.approx(rate * ratio, rel=1e-2)


def test_grpo_follows_the_reward_of_each_skill(tiny_model: Path, tmp_path: Path) -> None:
    """Every skill has a reward column of its own, both are logged, and the adapter moves."""
    plan = plan_of(
        Sft(kind="sft", batch_size=6, learning_rate=1e-3),
        Grpo(
            kind="grpo",
            steps=2,
            prompts=12,
            generations=4,
            refill=0,
            validate_on=0,
            max_new_tokens=8,
            learning_rate=1e-3,
        ),
    )

    log = [row for row in run(plan, tiny_model, tmp_path) if row["stage"] == "grpo" and "loss" in row]

    assert len(log) == 2
    assert any("rewards/even:graded/mean" in row for row in log)
    assert any("rewards/odd:graded/mean" in row for row in log)
    assert digest(tmp_path / "stages/sft") != digest(tmp_path / "stages/grpo")


@pytest.mark.parametrize("paid", [1, -1])
def test_a_refinement_that_makes_things_worse_is_taken_back(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], paid: int
) -> None:
    """Where the validation rows get worse, the adapter is that of the stage before, byte for byte.

    What got worse is shown, and whether the stage was paid more for it.
    """
    calls: list[int] = []

    def falling(episodes: Sequence[Episode]) -> list[Judgement]:
        calls.append(len(episodes))
        return [
            Judgement(
                verdict=Verdict(status="failed", score=1 / len(calls)),
                rewards={"graded": number % 3 / 3 + paid * len(calls) / 100},
            )
            for number, _ in enumerate(episodes)
        ]

    refine = Grpo(kind="grpo", steps=2, prompts=4, generations=4, refill=0, max_new_tokens=4, learning_rate=1e-2)
    log = run(plan_of(Sft(kind="sft", batch_size=6), refine), tiny_model, tmp_path, falling)

    assert log[-1]["validation_after"] < log[-1]["validation_before"]
    told = capsys.readouterr().err
    assert re.search(r"taken back: it made validation rows of even, odd worse.*; `start \d+` was answered `", told)
    assert ("reward hacking?" in told) is (paid > 0)
    assert digest(tmp_path / "stages/sft") == digest(tmp_path / "stages/grpo")


def test_what_got_worse_is_shown_by_a_request_to_the_skill_that_did(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request to another skill may have lost more, though that skill became better."""
    lost: list[str] = []

    def mixed(episodes: Sequence[Episode]) -> list[Judgement]:
        is_first = not lost
        odd = [episode.task.request for episode in episodes if episode.task.skill == "odd"]
        lost.extend(odd[:1] if is_first else [])
        assert len(odd) > 2 or not is_first

        def score(episode: Episode) -> float:
            if episode.task.skill == "even":
                return 0.5 if is_first else 0.4
            return float((episode.task.request in lost) is is_first)

        return [
            Judgement(verdict=Verdict(status="failed", score=score(item)), rewards={"graded": number % 3 / 3})
            for number, item in enumerate(episodes)
        ]

    refine = Grpo(kind="grpo", steps=1, prompts=4, generations=4, refill=0, validate_on=12, max_new_tokens=4)
    run(plan_of(Sft(kind="sft", batch_size=6), refine), tiny_model, tmp_path, mixed)

    told = re.search(r"worse; `start (\d+)` was answered .* \(0\.5\) and now", capsys.readouterr().err)
    assert told and f"start {told[1]}" not in lost


def test_an_outage_stops_the_run(tiny_model: Path, tmp_path: Path) -> None:
    """When too many answers cannot be judged, training stops instead of learning from silence."""

    def outage(episodes: Sequence[Episode]) -> list[Judgement]:
        return [Judgement(verdict=Verdict.errored("the worker died")) for _ in episodes]

    plan = plan_of(Grpo(kind="grpo", steps=1, prompts=4, generations=2, max_new_tokens=4))

    with pytest.raises(TrainingError, match="the worker died"):
        run(plan, tiny_model, tmp_path, outage)


def test_rows_that_do_not_fit_are_an_error(tiny_model: Path, tmp_path: Path) -> None:
    """Nothing left to learn from is said, with the setting to change."""
    with pytest.raises(TrainingError, match="no row fits") as error:
        run(plan_of(Sft(kind="sft", max_length=4)), tiny_model, tmp_path)
    length = int(str(error.value.hint).removeprefix("--set stages.sft.max_length="))
    assert run(plan_of(Sft(kind="sft", max_length=length)), tiny_model, tmp_path / "longer")
    small = Path(shutil.copytree(tiny_model, tmp_path / "small"))
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 20}))
    with pytest.raises(TrainingError, match="no row fits into 20 tokens") as error:
        run(plan_of(Sft(kind="sft")), small, tmp_path)
    assert re.fullmatch(r"use a model that reads \d+ tokens; this one reads 20", str(error.value.hint))
    with pytest.raises(TrainingError, match="no request and an answer of 4 tokens fit into the 20 of this model"):
        run(plan_of(Grpo(kind="grpo", max_new_tokens=4)), small, tmp_path)


def test_one_of_several_gpus_is_used(tmp_path: Path) -> None:
    """TRL refuses to train on two in one process."""
    arguments = SFTConfig(str(tmp_path), bf16=False, use_cpu=True)
    assert on_one_device(arguments).n_gpu == 0
    arguments._n_gpu = 2
    assert on_one_device(arguments).n_gpu == 1


def test_a_folder_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    """A broken model is a usage error with a hint, not a traceback."""
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(UsageError, match="cannot be loaded"):
        run(plan_of(Sft(kind="sft")), tmp_path, tmp_path / "out")

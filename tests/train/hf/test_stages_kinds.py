"""Every kind of stage and every way to tune, on a tiny real model."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from skillpm.errors import TrainingError, UsageError
from skillpm.model.episode import Episode
from skillpm.model.training import Stage, StageOutput
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.dpo import Dpo
from skillpm.train.eval import Eval
from skillpm.train.grpo import Grpo, Rloo
from skillpm.train.hf.memory import halved, within_memory
from skillpm.train.hf.model import load_model
from skillpm.train.hf.policy import TransformersPolicy
from skillpm.train.hf.sft import AnswerTrainer
from skillpm.train.hf.stages import open_model
from skillpm.train.plan import TrainPlan
from skillpm.train.processes import Job
from skillpm.train.recipe import Lora
from skillpm.train.sft import Sft
from tests.random_models import TINY, save_random_model
from tests.train.hf.test_stages import digest, plan_of, run

pytestmark = pytest.mark.filterwarnings("default")

SMALL: dict[str, Any] = {"prompts": 12, "generations": 4, "refill": 0, "validate_on": 0, "max_new_tokens": 24}
SMALL |= {"learning_rate": 1e-2, "temperature": 2.0, "steps": 2}


def changed(plan: TrainPlan, **settings: Any) -> TrainPlan:
    object.__setattr__(plan, "recipe", plan.recipe.model_copy(update=settings))
    return plan


def pay_by_text(episodes: Sequence[Episode]) -> list[Judgement]:
    """Judge by a checksum: answers that differ get different pay."""
    pays = [zlib.crc32(episode.completion.encode()) / 2**32 for episode in episodes]
    return [Judgement(verdict=Verdict(status="failed", score=pay), rewards={"graded": pay}) for pay in pays]


def first() -> Sft:
    return Sft(kind="sft", batch_size=6, learning_rate=1e-3)


@pytest.mark.parametrize(
    "loss", ["dr_grpo", *(pytest.param(loss, marks=pytest.mark.slow) for loss in ("dapo", "grpo", "cispo", "gspo"))]
)
def test_each_loss_clips_from_the_second_update_on(tiny_model: Path, tmp_path: Path, loss: Any) -> None:
    cispo = loss == "cispo"  # whose bound is of the ratio itself
    stage = Grpo(kind="grpo", loss=loss, updates=2, epsilon=1e-4, epsilon_high=1.0001 if cispo else 1e-4, **SMALL)
    log = run(plan_of(stage), tiny_model, tmp_path, pay_by_text)
    key = "cispo_clip_ratio" if cispo else "clip_ratio/region_mean"
    clipped = [row[key] for row in log if "loss" in row]
    assert len(clipped) == 2 and clipped[0] == 0 and clipped[1] > 0


@pytest.mark.slow
def test_rloo_follows_the_reward_and_scores_only_what_it_sampled(tiny_model: Path, tmp_path: Path) -> None:
    stage = Rloo(kind="rloo", updates=2, **SMALL)
    log = [row for row in run(plan_of(stage), tiny_model, tmp_path, pay_by_text) if "loss" in row]
    assert len(log) == 2 and "rewards/even:graded/mean" in log[0]
    assert log[0]["grad_norm"] > 0
    weights = load_file(tmp_path / "stages/rloo/adapter/adapter_model.safetensors")
    assert not any(".ref." in name for name in weights)


@pytest.mark.slow
@pytest.mark.parametrize("tune", ["lora", "full"])
def test_the_weight_of_the_divergence_holds_grpo_to_how_the_stage_began(
    tiny_model: Path, tmp_path: Path, tune: str
) -> None:
    """It is zero before the first update, and k3 of the log-probabilities of both models after it, as TRL has it."""
    stage = Grpo(kind="grpo", kl=0.5, **SMALL)
    log = run(changed(plan_of(first(), stage), tune=tune), tiny_model, tmp_path, pay_by_text)
    kl = [row["kl"] for row in log if row["stage"] == "grpo" and "kl" in row]
    assert len(kl) == 2 and kl[0] == pytest.approx(0, abs=1e-6) and kl[1] > 1e-3
    assert not list((tmp_path / "stages/grpo/adapter").glob("*/"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Grpo, Rloo])
def test_the_divergence_is_in_the_gradient(tiny_model: Path, tmp_path: Path, kind: Any) -> None:
    """Two updates on one rollout, with and without it: the first is the same for GRPO, the second is not."""
    name = kind.__name__.lower()
    norms = {}
    for weight in (0.0, 2.0):
        stage = kind(kind=name, kl=weight, **{**SMALL, "prompts": 4, "updates": 2})
        log = run(plan_of(first(), stage), tiny_model, tmp_path / str(weight), pay_by_text)
        norms[weight] = [row["grad_norm"] for row in log if row["stage"] == name and "grad_norm" in row]
    assert norms[0.0][0] == pytest.approx(norms[2.0][0], rel=1e-4)
    if kind is Grpo:
        assert norms[0.0][1] != pytest.approx(norms[2.0][1], rel=1e-3)


def test_dpo_begins_at_the_adapter_that_stands_there(tiny_model: Path, tmp_path: Path) -> None:
    """With what it adds to embeddings, which TRL's own reference would not have."""
    stage = Dpo(kind="dpo", max_new_tokens=8, temperature=2.0, validate_on=0)
    plan = changed(plan_of(first(), stage), lora=Lora(rank=4, target_modules=("embed_tokens", "q_proj")))
    log = [row for row in run(plan, tiny_model, tmp_path) if row["stage"] == "dpo" and "loss" in row]
    assert log[0]["loss"] == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize(
    ("chosen", "tune"),
    [("gold", "lora"), *(pytest.param(*case, marks=pytest.mark.slow) for case in (("best", "lora"), ("gold", "full")))],
)
def test_dpo_prefers_what_the_verifier_prefers(tiny_model: Path, tmp_path: Path, chosen: Any, tune: str) -> None:
    """The chosen answers gain on the rejected ones."""
    stage = Dpo(kind="dpo", chosen=chosen, epochs=3, max_new_tokens=8, temperature=2.0, learning_rate=1e-3)
    stage = stage.model_copy(update={"validate_on": 0, "accumulate": 2, "batch_size": 3, "beta": 0.5})
    plan = changed(plan_of(stage), tune=tune)
    log = [row for row in run(plan, tiny_model, tmp_path) if "loss" in row]
    assert log[0]["loss"] == pytest.approx(0.6931, abs=1e-3)  # the reference is the model as it was: ln 2
    assert log[-1]["loss"] < 0.9 * log[0]["loss"]
    assert log[-1]["rewards/margins"] > 0
    names = {path.name for path in (tmp_path / "stages/dpo/adapter").iterdir()}
    assert "ref" not in names and not any((tmp_path / "stages/dpo/adapter").glob("*/"))


def test_dpo_without_a_pair_says_so(tiny_model: Path, tmp_path: Path) -> None:
    def alike(episodes: Sequence[Episode]) -> list[Judgement]:
        return [Judgement(verdict=Verdict(status="passed", score=1.0), rewards={"graded": 1.0}) for _ in episodes]

    with pytest.raises(TrainingError, match="no row has two answers of different worth"):
        run(plan_of(Dpo(kind="dpo", max_new_tokens=4, validate_on=0)), tiny_model, tmp_path, alike)


@pytest.mark.slow
def test_half_the_batch_and_twice_the_passes_is_the_same_step(tiny_model: Path, tmp_path: Path) -> None:
    sizes = [("whole", 12, 1), ("halves", 6, 2)]
    losses = []
    for name, batch, passes in sizes:
        stage = Sft(kind="sft", batch_size=batch, accumulate=passes, epochs=2, learning_rate=1e-3)
        log = run(plan_of(stage), tiny_model, tmp_path / name)
        losses.append([row["loss"] for row in log])
    assert len(losses[0]) == 4 and losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("lora", [Lora(rank=4, dora=True), Lora(rank=4, rslora=True)])
def test_variants_of_lora_are_trained(tiny_model: Path, tmp_path: Path, lora: Lora) -> None:
    plan = changed(plan_of(Sft(kind="sft", batch_size=6, epochs=3, learning_rate=3e-3)), lora=lora, layers=(1,))
    log = run(plan, tiny_model, tmp_path)
    assert log[-1]["loss"] < log[0]["loss"]
    weights = load_file(tmp_path / "stages/sft/adapter/adapter_model.safetensors")
    assert any("magnitude" in name for name in weights) is lora.dora
    assert {name.split("layers.")[1][0] for name in weights} == {"1"}


@pytest.mark.slow
def test_all_weights_or_those_of_some_layers_can_be_trained(tiny_model: Path, tmp_path: Path) -> None:
    """Activations that are computed twice change nothing, and the saved model is the one that answers."""
    before = load_model(tiny_model, "float32").state_dict()
    stage = Sft(kind="sft", batch_size=6, learning_rate=1e-3)
    log = run(changed(plan_of(stage), tune="full", layers=(1,)), tiny_model, tmp_path / "plain")
    twice = changed(plan_of(stage), tune="full", layers=(1,), gradient_checkpointing=True)
    again = run(twice, tiny_model, tmp_path / "twice")
    assert [row["loss"] for row in again] == pytest.approx([row["loss"] for row in log], rel=1e-4)
    folder = tmp_path / "plain/stages/sft/adapter"
    after = load_model(folder, "float32").state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved and all("layers.1." in name for name in moved)
    policy = TransformersPolicy(tiny_model, folder, dtype="float32")
    assert all(torch.equal(value, after[name]) for name, value in policy._model.state_dict().items())


def test_a_layer_that_the_model_does_not_have_is_refused(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="layer 2 is not a layer of smollm2-135m, which has 2"):
        open_model(Job(changed(plan_of(first()), layers=(2,)).recipe, tiny_model))


@pytest.mark.parametrize(
    "stages", [[first()], [Grpo(kind="grpo")], [Dpo(kind="dpo")], [Eval(kind="eval"), first()]], ids=lambda s: s[0].kind
)
def test_a_token_that_the_model_does_not_know_is_named(tmp_path: Path, stages: list[Stage]) -> None:
    """A tokenizer with more tokens than its model has embeddings."""
    folder = save_random_model(tmp_path / "model", {**TINY, "vocab_size": 100}, gain=1)
    with pytest.raises(UsageError, match=r"the tokenizer writes token \d+, the model knows 100"):
        run(plan_of(*stages, held_out=4), folder, tmp_path)


def test_training_begins_from_an_adapter(tiny_model: Path, tmp_path: Path) -> None:
    run(plan_of(first()), tiny_model, tmp_path)
    adapter = tmp_path / "stages/sft/adapter"
    opened = open_model(Job(plan_of(first()).recipe, tiny_model, adapter))
    weights, given = load_file(adapter / "adapter_model.safetensors"), dict(opened.model.named_parameters())
    name = next(iter(weights))
    parameter = given[name.replace(".weight", ".default.weight")]
    assert torch.equal(parameter, weights[name]) and parameter.requires_grad


@pytest.mark.slow
def test_where_the_memory_is_not_enough_a_stage_takes_fewer_rows_at_once_for_the_same_step(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again, and ends with the bytes that the smaller passes give by themselves."""
    whole = AnswerTrainer.compute_loss

    def starved(trainer: AnswerTrainer, model: Any, inputs: dict[str, Any], **rest: Any) -> Any:
        if trainer.args.train_batch_size > 3 and trainer.state.global_step == 1:
            torch.empty(2**48)
        return whole(trainer, model, inputs, **rest)

    monkeypatch.setattr(AnswerTrainer, "compute_loss", starved)
    run(plan_of(first()), tiny_model, tmp_path / "starved")
    run(plan_of(first().model_copy(update={"batch_size": 3, "accumulate": 2})), tiny_model, tmp_path / "asked")
    record = json.loads((tmp_path / "starved/stages/sft/stage.json").read_text())
    assert record["steps"] == 4 and digest(tmp_path / "starved/stages/sft") == digest(tmp_path / "asked/stages/sft")


@pytest.mark.parametrize(
    ("stage", "smaller"),
    [
        (Sft(kind="sft", batch_size=6, accumulate=2), {"batch_size": 3, "accumulate": 4}),
        (Sft(kind="sft", batch_size=5), {"batch_size": 1, "accumulate": 5}),
        (Sft(kind="sft", batch_size=10**7), {"batch_size": 5 * 10**6, "accumulate": 2}),
        (Grpo(kind="grpo"), {"micro_batch": 4}),
        (Eval(kind="eval"), {"batch_size": 8}),
        (Sft(kind="sft", batch_size=1), None),
    ],
)
def test_a_smaller_pass_makes_the_same_step(stage: Stage, smaller: dict[str, int] | None) -> None:
    assert halved(stage) == (None if smaller is None else stage.model_copy(update=smaller))


def test_memory_that_is_not_enough_for_one_row_says_what_to_change(tmp_path: Path) -> None:
    sizes: list[int] = []

    def starved(stage: Stage) -> StageOutput:
        sizes.append(stage.model_dump()["batch_size"])
        raise RuntimeError("out of memory")

    with pytest.raises(TrainingError, match="the memory is not enough") as error:
        within_memory(Sft(kind="sft", batch_size=8), starved, tmp_path)
    assert sizes == [8, 4, 2, 1]
    assert error.value.hint == "--set gradient_checkpointing=true, or a lower max_length"
    with pytest.raises(RuntimeError, match="another"):
        within_memory(Sft(kind="sft"), lambda stage: (_ for _ in ()).throw(RuntimeError("another")), tmp_path / "new")


def test_a_stage_that_was_ended_begins_with_the_passes_that_fitted(tmp_path: Path) -> None:
    sizes: list[int] = []

    def ended(stage: Stage) -> StageOutput:
        sizes.append(stage.model_dump()["batch_size"])
        outcomes: list[BaseException | None] = [RuntimeError("out of memory"), KeyboardInterrupt(), None]
        outcome = outcomes[len(sizes) - 1]
        if outcome is not None:
            raise outcome
        return StageOutput(1)

    with pytest.raises(KeyboardInterrupt):
        within_memory(Sft(kind="sft", batch_size=8), ended, tmp_path)
    output = within_memory(Sft(kind="sft", batch_size=8), ended, tmp_path)
    assert sizes == [8, 4, 4]
    assert output.note == "the memory was not enough, so it took batch_size 4, accumulate 2"

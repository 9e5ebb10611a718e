"""Two processes that share an optimiser by ZeRO of DeepSpeed train what one trains, and go on where they were ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import StorageError, UsageError
from skillpm.train.grpo import Grpo
from skillpm.train.launch import Launch
from skillpm.train.sft import Sft
from tests.train.hf.test_checkpoint import each_step
from tests.train.hf.test_rank import PAIRS, assert_same, interrupt, run_several
from tests.train.hf.test_sharded import assert_same_weights, figures, full
from tests.train.hf.test_stages import plan_of, run
from tests.train.hf.test_stages_kinds import pay_by_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]
pytest.importorskip("deepspeed", reason="the extra deepspeed is not installed")

ZERO = [Launch(2, on_cpu=True, zero={"stage": stage}) for stage in (1, 2)]
STEPS: dict[str, Any] = {"steps": 2, "prompts": 3, "generations": 6, "micro_batch": 3, "max_new_tokens": 16}


SFT = Sft(kind="sft", epochs=2, batch_size=2, accumulate=4, learning_rate=1e-3)  # several passes, an uneven last step


@pytest.mark.parametrize("launch", ZERO, ids=["stage 1", "stage 2"])
def test_two_processes_that_share_an_optimiser_train_what_one_trains(
    tiny_model: Path, tmp_path: Path, launch: Launch
) -> None:
    """GRPO has two updates for one rollout."""
    grpo = Grpo(kind="grpo", updates=2, learning_rate=1e-3, validate_on=0, **STEPS)
    plan = plan_of(grpo, SFT, rows=25)
    run(plan, tiny_model, tmp_path / "one", pay_by_text)
    run_several(plan, tiny_model, tmp_path / "two", launch=launch)
    assert_same(tmp_path / "one", tmp_path / "two", "grpo", "loss", "reward", "groups/live", "grad_norm")
    assert_same(tmp_path / "one", tmp_path / "two", "sft", "loss", "learning_rate")


def test_pairs_are_preferred_alike_with_a_shared_optimiser(tiny_model: Path, tmp_path: Path) -> None:
    plan = plan_of(PAIRS, rows=25)
    run(plan, tiny_model, tmp_path / "one", pay_by_text)
    run_several(plan, tiny_model, tmp_path / "two", launch=ZERO[1])
    one, two = (figures(tmp_path / name, "loss", stage="dpo") for name in ("one", "two"))
    assert one[:-1] == pytest.approx(two[:-1], rel=1e-3) and len(one) > 2, "in the last step some pairs come twice"


def test_all_weights_are_trained_with_a_shared_optimiser(tiny_model: Path, tmp_path: Path) -> None:
    plan = full(SFT.model_copy(update={"learning_rate": 1e-4}), rows=25)
    one, two = tmp_path / "one", tmp_path / "two"
    run(plan, tiny_model, one, pay_by_text)
    run_several(plan, tiny_model, two, launch=ZERO[1])
    assert figures(one, "loss", "grad_norm") == pytest.approx(figures(two, "loss", "grad_norm"), rel=1e-3)
    assert_same_weights(one, two)


def test_an_interrupted_run_of_zero_goes_on_to_the_same_bytes_and_with_as_many_processes(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Ended in SFT and in GRPO; one process alone has no use for shares of an optimiser."""
    grpo = Grpo(kind="grpo", updates=2, learning_rate=1e-3, validate_on=0, **{**STEPS, "steps": 8})
    plan = each_step(Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-3), grpo)
    straight, ended = tmp_path / "straight", tmp_path / "ended"
    run_several(plan, tiny_model, straight, launch=ZERO[1])

    for stage in ("sft", "grpo"):
        with pytest.raises(KeyboardInterrupt):
            run_several(plan, tiny_model, ended, watch=interrupt, launch=ZERO[1])
        assert len(list((ended / f"stages/{stage}/work").glob("checkpoint-*"))) == 1
        with pytest.raises(StorageError, match="no state of an optimiser"):
            run(plan, tiny_model, ended, pay_by_text)
    run_several(plan, tiny_model, ended, launch=ZERO[1])
    for stage in ("sft", "grpo"):
        one, other = (path / f"stages/{stage}/adapter/adapter_model.safetensors" for path in (straight, ended))
        assert one.read_bytes() == other.read_bytes(), stage


def test_a_setting_that_deepspeed_does_not_know_is_refused_before_there_is_a_plan(
    tiny_model: Path, tmp_path: Path
) -> None:
    launch = Launch(2, on_cpu=True, zero={"stage": 2, "overlap": True})
    with pytest.raises(UsageError, match="overlap"):
        run_several(plan_of(Sft(kind="sft")), tiny_model, tmp_path, launch=launch)

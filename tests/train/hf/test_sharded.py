"""Two processes that have half of a model each train what one trains with all of it, into the same files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from skillpm.model.training import Stage
from skillpm.train.eval import Eval
from skillpm.train.grpo import Grpo, Rloo
from skillpm.train.launch import Launch
from skillpm.train.plan import TrainPlan
from skillpm.train.sft import Sft
from tests.train.hf.test_rank import PAIRS, interrupt, run_several
from tests.train.hf.test_stages import plan_of, run
from tests.train.hf.test_stages_kinds import pay_by_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]
SHARDED = Launch(2, on_cpu=True, sharded=True)


def full(*stages: Stage, rows: int = 24, held_out: int = 0) -> TrainPlan:
    """Return a plan that trains all weights, and saves after each step."""
    plan = plan_of(*stages, rows=rows, held_out=held_out)
    return replace(plan, recipe=plan.recipe.model_copy(update={"tune": "full", "checkpoint_seconds": 0.0}))


def figures(folder: Path, *names: str, stage: str = "sft") -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if row["stage"] == stage for name in names if name in row]


def assert_same_weights(one: Path, other: Path, stage: str = "sft") -> None:
    """The same up to rounding, under the same names."""
    weights = [load_file(folder / f"stages/{stage}/adapter/model.safetensors") for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]) < 1e-5


def test_two_shares_train_what_one_process_trains(tiny_model: Path, tmp_path: Path) -> None:
    """SFT with two passes a step and an uneven last one; answers are sampled before it and behind it."""
    sft = Sft(kind="sft", epochs=2, batch_size=2, accumulate=4, learning_rate=1e-4)
    pairs = PAIRS.model_copy(update={"learning_rate": 1e-5})
    plan = full(Eval(kind="eval", limit=2, max_new_tokens=8), sft, pairs, rows=25, held_out=3)
    one, two = tmp_path / "one", tmp_path / "two"
    run(plan, tiny_model, one, pay_by_text)
    run_several(plan, tiny_model, two, launch=SHARDED)
    assert figures(one, "loss", "grad_norm") == pytest.approx(figures(two, "loss", "grad_norm"), rel=1e-3)
    assert_same_weights(one, two)
    assert {path.relative_to(one) for path in one.rglob("*")} == {path.relative_to(two) for path in two.rglob("*")}


def test_an_interrupted_run_of_shares_goes_on_to_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    """Its checkpoints are whole, so one process can go on, too."""
    plan = full(Sft(kind="sft", epochs=2, batch_size=6, learning_rate=1e-4))
    run_several(plan, tiny_model, tmp_path / "straight", launch=SHARDED)

    for name in ("ended", "alone"):
        with pytest.raises(KeyboardInterrupt):
            run_several(plan, tiny_model, tmp_path / name, watch=interrupt, launch=SHARDED)
    run_several(plan, tiny_model, tmp_path / "ended", launch=SHARDED)
    run(plan, tiny_model, tmp_path / "alone", pay_by_text)
    one, other = (tmp_path / name / "stages/sft/adapter/model.safetensors" for name in ("straight", "ended"))
    assert one.read_bytes() == other.read_bytes()
    assert_same_weights(tmp_path / "straight", tmp_path / "alone")


def test_two_shares_refine_as_one_process_does(tiny_model: Path, tmp_path: Path) -> None:
    """GRPO, with two updates for one rollout, and RLOO: they choose one way to score their rows."""
    shape: dict[str, Any] = {"steps": 2, "prompts": 3, "generations": 6, "micro_batch": 3, "max_new_tokens": 16}
    shape |= {"learning_rate": 1e-5, "validate_on": 0}
    plan = full(Grpo(kind="grpo", updates=2, **shape), Rloo(kind="rloo", **shape))
    one, two = tmp_path / "one", tmp_path / "two"
    run(plan, tiny_model, one, pay_by_text)
    run_several(plan, tiny_model, two, launch=SHARDED)
    for stage in ("grpo", "rloo"):
        names = ("loss", "reward", "grad_norm")
        assert figures(one, *names, stage=stage) == pytest.approx(figures(two, *names, stage=stage), rel=1e-3, abs=1e-4)
        assert_same_weights(one, two, stage)

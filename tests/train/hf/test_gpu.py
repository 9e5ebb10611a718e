"""The stages on an accelerator, in bfloat16: run with ``pytest -m gpu`` where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from skillpm.cli.output import PlainProgress
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.training import TrainRow
from skillpm.model.verdict import Judgement, Verdict
from skillpm.train.grpo import Grpo
from skillpm.train.hf.stages import run_stages
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import make_plan
from skillpm.train.recipe import Data, Recipe
from skillpm.train.sft import Sft

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here"),
]


def test_sft_and_grpo_run_in_bfloat16(tiny_model: Path, tmp_path: Path) -> None:
    """The base is bfloat16, the adapter float32, the loss falls, and both stages leave an adapter."""
    expected = {"tool": "dev", "args": {"port": 8123}}
    rows = [
        TrainRow(
            Task.of(skill="x", system="s", request=f"start {n}", expected=expected, split="train", origin="rule"),
            json.dumps(expected),
        )
        for n in range(32)
    ]
    stages = (
        Sft(kind="sft", epochs=4, learning_rate=1e-2),
        Grpo(kind="grpo", steps=2, prompts=4, generations=4, max_new_tokens=8),
    )
    log: list[dict[str, float]] = []

    def judge(episodes: list[Episode]) -> list[Judgement]:
        shares = [sum(c.isdigit() for c in e.completion) / max(1, len(e.completion)) for e in episodes]
        return [Judgement(verdict=Verdict(status="failed", score=s), rewards={"graded": s}) for s in shares]

    plan = make_plan(Recipe(stages=stages, data=Data(refine=0)), BUILT_IN, rows, [], {"x": ["graded"]})
    runners = [stage.trainer.load() for stage in plan.stages]
    places = {"adapter": lambda name: tmp_path / name, "log": log.append, "progress": PlainProgress()}
    run_stages(plan, runners, tiny_model, judge, lambda episodes: None, **places)

    losses = [row["loss"] for row in log if row["stage"] == "sft"]
    assert losses[-1] < 0.8 * losses[0]
    assert {path.name for path in tmp_path.iterdir()} >= {"sft", "grpo"}

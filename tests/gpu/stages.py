"""A short run of stages on rows that any model learns in a few steps, and what came of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skillpm.cli.output import PlainProgress
from skillpm.model.task import Task
from skillpm.model.training import Stage, TrainRow
from skillpm.train.hf.stages import Training, open_model, run_stages
from skillpm.train.kinds import BUILT_IN
from skillpm.train.plan import make_plan
from skillpm.train.processes import Job, Judging
from skillpm.train.recipe import Data, Recipe
from skillpm.train.run_folder import RunFolder
from skillpm.train.sft import Sft
from tests.train.hf.test_stages_kinds import pay_by_text

SYSTEM = "Answer with one JSON object that names a tool and its arguments. Ports are numbers. Nothing else is said."


def make_rows(count: int) -> list[TrainRow]:
    """Return rows of one skill: requests for a server, answered with the port that they name."""
    rows = []
    for number in range(count):
        expected = {"tool": "dev", "args": {"port": 8000 + number}}
        request = f"Start the server on port {8000 + number}"
        task = Task.of(skill="x", system=SYSTEM, request=request, expected=expected, split="train", origin="rule")
        rows.append(TrainRow(task, json.dumps(expected)))
    return rows


def run(stages: Sequence[Stage], source: Path, target: Path, *, dtype: str, judge: Any = pay_by_text) -> list[Any]:
    """Run stages on 24 rows in a run folder; return the metrics of all steps."""
    recipe = Recipe(stages=tuple(stages), dtype=dtype, data=Data(refine=0))
    plan = make_plan(recipe, BUILT_IN, make_rows(24), [], {"x": ["graded"]})
    folder = RunFolder(target)
    target.mkdir(parents=True, exist_ok=True)
    runs = [stage.trainer.load() for stage in plan.stages]
    judging = Judging(judge, lambda episodes: None)
    training = Training(open_model(Job(recipe, source)), judging, folder, PlainProgress())
    run_stages(plan, runs, training)
    return [json.loads(line) for line in (target / "metrics.jsonl").read_text().splitlines()]


def sft_losses(source: Path | str) -> list[float]:
    """Return the losses of a few steps of SFT in float32."""
    with tempfile.TemporaryDirectory() as target:
        log = run([Sft(kind="sft", batch_size=4)], Path(source), Path(target), dtype="float32")
    return [row["loss"] for row in log]

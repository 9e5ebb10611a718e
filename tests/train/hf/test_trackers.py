"""Programs that show a run get its figures, and their failures do not end it."""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import TrainingError
from skillpm.train.hf import trackers
from skillpm.train.hf.trackers import check_trackers, tracking
from skillpm.train.recipe import Recipe

ROW = {"stage": "sft", "step": 1, "loss": 0.5}


def test_a_program_that_is_not_installed_is_named_before_anything_runs() -> None:
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed")
    with pytest.raises(TrainingError, match="`report_to: wandb` needs wandb") as error:
        check_trackers(Recipe(report_to=("wandb",)))
    assert error.value.hint == "pip install wandb"


def test_a_program_that_fails_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    tried: list[int] = []

    class Failing:
        def log(self, stage: str, step: int, figures: Any) -> None:
            tried.append(step)
            raise ConnectionError("no route")

        def close(self) -> None:
            raise ConnectionError("no route")

    monkeypatch.setattr(trackers, "_opened", lambda *_: (Failing().log, Failing().close))
    with tracking(Recipe(report_to=("trackio",)), tmp_path, notes.append) as track:
        track(ROW)
        track({**ROW, "step": 2})
    assert tried == [1] and notes == ["trackio shows no more of this run: no route"]


SCRIPT = """
import sys
from pathlib import Path
from skillpm.train.hf.trackers import tracking
from skillpm.train.recipe import Recipe

with tracking(Recipe(report_to=("trackio",)), Path("runs/a-run"), sys.exit) as track:
    track({"stage": "sft", "step": 1, "loss": 0.5})
    track({"stage": "grpo", "step": 1, "reward": 0.25})
"""


@pytest.mark.slow
def test_trackio_has_the_figures_of_a_run(tmp_path: Path) -> None:
    """It reads its folder when it is imported, so it gets a process of its own."""
    pytest.importorskip("trackio")
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with sqlite3.connect(tmp_path / "skillpm.db") as database:
        rows = database.execute("select run_name, metrics from metrics order by step").fetchall()
    assert [(name, json.loads(metrics)) for name, metrics in rows] == [
        ("a-run", {"sft/loss": 0.5, "sft/step": 1}),
        ("a-run", {"grpo/reward": 0.25, "grpo/step": 1}),
    ]

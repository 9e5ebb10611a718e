"""The whole way on the real default model: fetch, train, evaluate, answer; and a run that is killed half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from skillpm.sandbox.sandbox import choose
from tests.shop import MakeProject

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(1800)]

SMALL = [
    *("--set", "data.rows=60", "--set", "data.refine=12", "--set", "data.held_out=4"),
    *("--set", "stages.grpo.steps=1", "--set", "stages.grpo.prompts=2", "--set", "stages.grpo.refill=1"),
    *("--set", "stages.grpo.validate_on=4"),
]


@pytest.fixture
def world(project: MakeProject) -> Any:
    """Return a project with langgraph-cli installed and the model prepared."""
    made = project()
    made.run("install", "langgraph-cli").ok()
    made.run("model", "prepare", patience=1500).ok()
    return made


def test_a_real_model_is_trained_evaluated_and_asked(world: Any) -> None:
    """Each command of the main job leaves what it promises, and the trained model writes valid JSON."""
    trained = world.run("train", "--json", *SMALL, patience=1500).ok().document
    run = world.root / trained["run"]
    assert {"recipe.yaml", "skillpm.lock", "metrics.jsonl", "card.md"} <= set(trained["manifest"]["files"])
    assert (run / "adapter/adapter_model.safetensors").is_file()
    assert trained["manifest"]["sandbox"] == str(choose())

    shown = world.run("eval", "--run", run, "--with-base", "--limit", "4", "--no-gate", "--json", patience=1500).ok()
    assert shown.document["arms"] == ["base", "sft", "grpo"]
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    (stored,) = run.glob("evals/*/evaluation.json")
    evaluation = json.loads(stored.read_text())
    valid = [record["valid_json"] for record in evaluation["arms"][-1]["records"]]
    assert sum(valid) >= 0.75 * len(valid)

    world.write({"mine.jsonl": json.dumps({"request": "Start the dev server on port 5151."}) + "\n"})
    world.run("answer", "langgraph-cli", "mine.jsonl", "--run", run, "--output", "out", patience=600).ok()
    (answer,) = (json.loads(line) for line in (world.root / "out/completions.jsonl").read_text().splitlines())
    assert answer["completion"]
    assert answer["verdict"] is None


def test_a_killed_run_has_no_manifest_and_is_called_unfinished(world: Any) -> None:
    """What a kill leaves is told from a finished run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "skillpm", "train", *SMALL],
        cwd=world.root,
        env=dict(world.environment),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(world.root.glob("runs/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    (run,) = world.root.glob("runs/*")
    assert not (run / "manifest.json").exists()
    assert "unfinished" in world.run("list").ok().out
    world.run("eval", "--run", run).fails(2, "unfinished")

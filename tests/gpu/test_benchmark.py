"""The benchmark of training runs whole, small and on a CPU, so that it is ready for the day with an accelerator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.random_models import TINY, save_random_model

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(1800)  # ten trainings: a minute alone, many on a busy machine
@pytest.mark.filterwarnings("default")
def test_every_line_has_figures_of_both_sides(tmp_path: Path) -> None:
    model = save_random_model(tmp_path / "model", {**TINY, "max_position_embeddings": 2048}, gain=4)
    command = [sys.executable, "benchmarks/gpu_trainer.py", "--quick", "--model", str(model), "--output", str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    lines = json.loads((tmp_path / "gpu_trainer.json").read_text())["lines"]
    assert len(lines) == 10
    assert all(line["peer"] > 0 and line["ours"] > 0 for line in lines if "memory" not in line["what"])

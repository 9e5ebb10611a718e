"""The benchmarks of training run whole with a small model on a CPU, so that they are ready for any machine."""

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
@pytest.mark.timeout(1800)  # a dozen trainings: two minutes alone, many on a busy machine
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("words", "lines"), [(["gpu_trainer", "--quick"], 17), (["trainer", "--steps", "5", "--rounds", "1"], 10)]
)
def test_every_line_has_figures_of_both_sides(words: list[str], lines: int, tmp_path: Path) -> None:
    model = save_random_model(tmp_path / "model", {**TINY, "max_position_embeddings": 2048}, gain=4)
    script, *options = words
    command = [sys.executable, f"benchmarks/{script}.py", *options, "--model", str(model), "--output", str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / f"{script}.json").read_text())["lines"]
    assert len(found) == lines
    assert all(line["peer"] > 0 and line["ours"] > 0 for line in found if "reward" not in line["what"])

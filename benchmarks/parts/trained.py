"""What the benchmarks of accuracy share: commands whose output goes to a file, and the figures of an evaluation."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skillpm.evals.figures import arm_label, figures, novelty_figures, task_set_label
from skillpm.model.evaluation import Evaluation


def run_logged(words: Sequence[str], log: Path, folder: Path | None = None) -> None:
    """Run a command and append what it prints to a file. Leave with the end of that file where it fails."""
    with log.open("a") as file:
        done = subprocess.run(words, cwd=folder, check=False, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise SystemExit(f"`{' '.join(words)}` ended with {done.returncode}:\n{log.read_text()[-2000:]}")


def read_figures(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the share of exact answers of each task set, of each kind of novelty in it, and of each arm."""
    return [
        {
            "skill": row.task_set.skill,
            "task_set": task_set_label(row.task_set.name),
            "arm": arm_label(arm),
            "tasks": cell.asked,
            "exact": cell.exact and [cell.exact.estimate, cell.exact.low, cell.exact.high],
        }
        for row in [*figures(evaluation), *novelty_figures(evaluation)]
        for arm, cell in row.cells.items()
    ]


def settings_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return what an evaluation's figures depend on beside the model."""
    return {
        "dtype": sorted({str(arm.settings.get("dtype")) for arm in evaluation.arms}),
        "device": sorted({str(arm.settings.get("device")) for arm in evaluation.arms}),
        "versions": dict(evaluation.versions),
    }


def keep_figures(file: Path, figures: Mapping[str, Any]) -> None:
    """Write figures with the processor and the date, as JSON."""
    record = {"processor": processor(), "date": datetime.now(UTC).date().isoformat(), **figures}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=2) + "\n")


def processor() -> str:
    """Return the name of what models run on: the accelerator where torch sees one, else the processor."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    known = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in known.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()

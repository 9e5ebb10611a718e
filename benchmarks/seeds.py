"""How far the figures of `make demo` spread with the seed: the whole demo for each seed, then one table.

A seed decides which rows are drawn, which are held out and in which order the model sees them. Each demo is the
demo's own script in a folder of its own; the figures are computed again from the evaluation that its run stores.

    python benchmarks/seeds.py [--seeds 0 1 2] [--jobs N] [--minutes M] [--output FOLDER]

``--jobs`` runs that many demos at once, for a machine with cores or an accelerator to spare: their times then say
nothing. With ``--minutes`` each learns from as many rows as fit, else from all. With ``--output`` the figures are
written to seeds.json. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from skillpm.ops.learning.report import read_evaluation

sys.path.insert(0, str(Path(__file__).parent / "parts"))

from trained import keep_figures, read_figures, run_logged, settings_of

DEMO = Path(__file__).resolve().parent.parent / "demo/run.py"


def run_demo(folder: Path, seed: int, minutes: float) -> dict[str, Any]:
    """Run one demo and return its figures; what it prints goes to a file beside its folder."""
    begin = time.monotonic()
    words = [sys.executable, str(DEMO), "--folder", str(folder), "--seed", str(seed), "--minutes", str(minutes)]
    run_logged(words, folder.with_suffix(".log"))
    return {"seed": seed, "minutes": round((time.monotonic() - begin) / 60, 1), **read_demo(folder)}


def read_demo(folder: Path) -> dict[str, Any]:
    """Return how many rows of each skill a demo has learned from, and its figures."""
    stages = read_evaluation(max(folder.glob("runs/*/evals/*/evaluation.json")))
    evaluations = [read_evaluation(folder / "before"), stages]
    (recipe,) = folder.glob("runs/*/recipe.yaml")
    return {
        "rows": yaml.safe_load(recipe.read_text())["data"]["rows"],
        **settings_of(stages),
        "figures": [line for evaluation in evaluations for line in read_figures(evaluation)],
    }


def print_table(demos: list[dict[str, Any]]) -> None:
    """Print one line for each task set and arm: the figure of each seed, their mean and their spread."""
    cells: dict[tuple[str, str, str], list[float | None]] = defaultdict(list)
    for demo in demos:
        for line in demo["figures"]:
            cells[line["skill"], line["task_set"], line["arm"]].append(line["exact"] and line["exact"][0] * 100)
    seeds = " ".join(f"{'seed ' + str(demo['seed']):>7}" for demo in demos)
    print(f"{'exact answers, percent':70} {seeds} {'mean':>7} {'spread':>7}")
    for place, shares in cells.items():
        known = [share for share in shares if share is not None]
        if known:
            shown = " ".join(f"{'-' if share is None else format(share, '.1f'):>7}" for share in shares)
            spread = max(known) - min(known)
            print(f"{', '.join(place):70} {shown} {statistics.mean(known):7.1f} {spread:7.1f}")


def main() -> None:
    """Run the demos, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1000.0, help="of each demo")
    parser.add_argument("--output", type=Path, help="a folder for seeds.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        demos = list(
            pool.map(lambda seed: run_demo(Path(folder) / f"seed-{seed}", seed, arguments.minutes), arguments.seeds)
        )
    print_table(demos)
    if arguments.output is not None:
        keep_figures(arguments.output / "seeds.json", {"jobs": arguments.jobs, "demos": demos})


if __name__ == "__main__":
    main()

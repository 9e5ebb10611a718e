"""The main job as a user types it: install two skills, evaluate, train, evaluate again.

Every step is a `skillpm` command in a project folder of its own; this script only types them and keeps the time. What
the untrained model takes for its tasks says how fast this machine is today, and so how many rows can be learned from in
a quarter of an hour: all of the recipe's where the processor is quick, fewer where it is slow or busy.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

RECIPE = Path(__file__).resolve().parent / "recipe.yaml"
SKILLS = ("incident-triage", "langgraph-cli")
BEFORE = 4  # tasks of each set that the untrained model is asked: it writes to the limit every time
AFTER = (10, 30)  # tasks of each set that the trained one is asked: at least, and as planned
START = 10.0  # seconds that an evaluation takes, however fast the model is
TRAINING = 18.0  # the same of the training
# In units of what the untrained model takes beyond that, measured on two cores with AVX2 and two with AVX-512:
ROW = 0.022  # to learn from one row of each skill
REST = 0.65  # GRPO
TASK = 0.0405  # to ask the trained model one task of each set, after SFT and after GRPO
FEWEST = 120  # rows: fewer teach nothing


def skillpm(folder: Path, *arguments: str) -> float:
    """Show a command, run it, and return its seconds. Leave with its exit code where it fails."""
    print(f"\n$ skillpm {shlex.join(arguments)}", flush=True)
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "skillpm", *arguments], cwd=folder, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    seconds = time.monotonic() - begin
    print(f"({seconds:.0f} s)", flush=True)
    return seconds


def rows_that_fit(most: int, left: float, speed: float) -> int:
    """Return how many rows of each skill can be learned from in the seconds that are left.

    Args:
        most: rows of the recipe.
        left: seconds.
        speed: seconds of the evaluation of the untrained model, without its start.
    """
    return max(FEWEST, min(most, int((left - TRAINING - START - (REST + TASK * AFTER[1]) * speed) / (ROW * speed))))


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the project folder; made anew")
    parser.add_argument("--seed", type=int, help="in place of the recipe's")
    parser.add_argument("--minutes", type=float, default=14.0, help="what does not fit is learned from fewer rows")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin = time.monotonic()
    recipe = yaml.safe_load(RECIPE.read_text())
    seed = recipe["seed"] if arguments.seed is None else arguments.seed
    rows, held_out = recipe["data"]["rows"] + recipe["data"]["refine"], recipe["data"]["held_out"]
    made = ("--rows", str(rows), "--held-out", str(held_out), "--seed", str(seed))  # as training makes them
    asking = ("--max-new-tokens", "72", "--batch-size", "96", "--no-gate", "--yes")
    skillpm(folder, "install", *SKILLS)
    skillpm(folder, "model", "prepare", "smollm2-135m")
    skillpm(folder, "synth", *SKILLS, *made, "--output", "data", "--yes")
    before = skillpm(
        folder, "eval", *SKILLS, "--model", "smollm2-135m", "--skill-text", "--tool-schemas",
        "--held-out", "data/held_out.jsonl", "--limit", str(BEFORE), "--output", "before", *asking,
    )  # fmt: skip
    end, speed = begin + 60 * arguments.minutes, max(1.0, before - START)
    learned = rows_that_fit(recipe["data"]["rows"], end - time.monotonic(), speed)
    print(f"\n{learned} rows of each skill can be learned from in {arguments.minutes:g} minutes here", flush=True)
    skillpm(folder, "train", "--recipe", str(RECIPE), "--set", f"seed={seed}", "--set", f"data.rows={learned}", "--yes")
    run = max(path.parent for path in folder.glob("runs/*/manifest.json"))
    tasks = max(AFTER[0], int((end - time.monotonic() - START) / (TASK * speed)))
    some = ("--limit", str(tasks)) if tasks < held_out else ()
    skillpm(folder, "eval", "--run", str(run.relative_to(folder)), "--before", "before", "--compare", *asking, *some)
    print(f"\nreport: {run / 'report.html'}\nwhole demo: {(time.monotonic() - begin) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()

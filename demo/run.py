"""The main job as a user types it: install two skills, evaluate, train, evaluate again.

Every step is a `skillpm` command in a project folder of its own; this script only types them and keeps the time.
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
BEFORE = "16"  # tasks of each set that the untrained model is asked: it writes to the limit every time


def skillpm(folder: Path, *arguments: str) -> None:
    """Show a command, run it, and leave with its exit code where it fails."""
    print(f"\n$ skillpm {shlex.join(arguments)}", flush=True)
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "skillpm", *arguments], cwd=folder, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    print(f"({time.monotonic() - begin:.0f} s)", flush=True)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the project folder; made anew")
    parser.add_argument("--seed", type=int, help="in place of the recipe's")
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
    skillpm(
        folder, "eval", *SKILLS, "--model", "smollm2-135m", "--skill-text", "--tool-schemas",
        "--held-out", "data/held_out.jsonl", "--limit", BEFORE, "--output", "before", *asking,
    )  # fmt: skip
    skillpm(folder, "train", "--recipe", str(RECIPE), "--set", f"seed={seed}", "--yes")
    run = max(path.parent for path in folder.glob("runs/*/manifest.json"))
    skillpm(folder, "eval", "--run", str(run.relative_to(folder)), "--before", "before", "--compare", *asking)
    print(f"\nreport: {run / 'report.html'}\nwhole demo: {(time.monotonic() - begin) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()

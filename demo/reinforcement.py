"""What reinforcement learning adds where right answers are few: SFT on 12 of them, then on what the verifier passes.

Three runs as a user types them: a short SFT; from there reinforcement learning on requests without a right answer, by
rejection sampling or GRPO against the skill's verifier; and, from there as well and for the same time, more SFT on the
same answers. Each is asked 400 held-out requests, and the pairs are compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from run import skillpm

RECIPES = Path(__file__).resolve().parent / "reinforcement"
EPOCHS = 10  # of start.yaml
ASKING = ("--limit", "400", "--max-new-tokens", "64", "--batch-size", "96", "--no-gate", "--yes")


def train(folder: Path, name: str, *settings: str) -> tuple[str, dict[str, Any]]:
    """Run one recipe; return the run's name and the record of its stage."""
    words = [word for setting in settings for word in ("--set", setting)]
    skillpm(folder, "train", "--recipe", str(RECIPES / f"{name}.yaml"), *words, "--yes")
    newest = max(folder.glob("runs/*/manifest.json"), key=lambda path: path.stat().st_mtime)
    skillpm(folder, "eval", "--run", newest.parent.name, *ASKING)
    return newest.parent.name, json.loads(newest.read_text())["stages"][-1]


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the project folder; made anew")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", choices=("rejection", "grpo"), default="rejection")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin, seed = time.monotonic(), f"seed={arguments.seed}"
    skillpm(folder, "install", "langgraph-cli")
    skillpm(folder, "model", "prepare", "smollm2-135m")
    start, short = train(folder, "start", seed)
    reinforced, stage = train(folder, arguments.method, seed, f"adapter={start}")
    epochs = round(EPOCHS * stage["seconds"] / short["seconds"], 1)
    continued, _ = train(folder, "continued", seed, f"adapter={start}", f"stages.sft.epochs={epochs}")
    for before in (start, continued):
        skillpm(folder, "compare", before, reinforced)
    page = f"{arguments.method}.html"
    skillpm(folder, "runs", "show", reinforced, "--html", page)
    print(f"\ncurves: {folder / page}\nwhole demo: {(time.monotonic() - begin) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()

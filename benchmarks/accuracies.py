"""What a small model learns of each skill: trained on it alone as the demo trains, then asked all its task sets.

Of the demo's recipe the first stage is taken, SFT. Its step of GRPO changes nothing beyond chance, and would end the
run of a skill whose answers are all right.

The skills are first-party ones, and those that `skillpm new --from-cli` writes for programs of this machine: for these,
the suite is made of other words and values by the same hand as the rules, so read it beside the held-out rows.

    python benchmarks/accuracies.py [--skills NAME ...] [--programs NAME ...] [--rows N] [--limit N] [--jobs N]
                                    [--model MODEL] [--recipe FILE] [--output FOLDER]

``--jobs`` trains that many at once, for a machine with an accelerator: their minutes then say little. ``--limit`` asks
so many tasks of each set. With ``--output`` the figures are written to accuracies.json there, and the projects stay
beside it, to read what was answered wrongly. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from skillpm.ops.learning.report import read_evaluation

sys.path.insert(0, str(Path(__file__).parent / "parts"))

from trained import keep_figures, read_figures, run_logged, settings_of

DEMO = Path(__file__).resolve().parent.parent / "demo/recipe.yaml"
SKILLS = ("incident-triage", "langgraph-cli", "shell-tools", "git-cli")
PROGRAMS = ("tar", "jq", "journalctl", "du", "ss", "find", "grep")  # the first three that are here
TURNS = 3  # answers of one episode: git-cli may look first


@dataclass(frozen=True, slots=True)
class Subject:
    """A skill to train on; ``program`` is what it is written for first, if it is not a first-party one."""

    skill: str
    program: str | None = None


def train(subject: Subject, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train on one skill in a new project folder, evaluate, and return the figures."""
    folder.mkdir()
    source = subject.skill

    def typed(*words: str) -> float:
        begin = time.monotonic()
        run_logged([sys.executable, "-m", "skillpm", *words], folder.with_suffix(".log"), folder)
        return round((time.monotonic() - begin) / 60, 1)

    if subject.program is not None:
        typed("new", subject.skill, "--from-cli", subject.program)
        source = f"./{subject.skill}"
    typed("install", source)
    recipe = yaml.safe_load((arguments.recipe or DEMO).read_text())
    recipe |= {"skills": [subject.skill], "model": arguments.model}
    recipe["data"]["rows"] = arguments.rows
    if arguments.recipe is None:
        recipe["stages"], recipe["data"]["refine"] = recipe["stages"][:1], 0
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    training = typed("train", "--recipe", "recipe.yaml", "--yes")
    some = () if arguments.limit is None else ("--limit", str(arguments.limit))
    asking = ("--max-new-tokens", "160", "--batch-size", "96", "--turns", str(TURNS), "--no-gate", "--yes")
    evaluating = typed("eval", "--run", "latest", *asking, *some)
    evaluation = read_evaluation(max(folder.glob("runs/*/evals/*/evaluation.json")))
    return {
        "skill": subject.skill,
        "program": subject.program,
        "minutes": {"training": training, "evaluation": evaluating},
        **settings_of(evaluation),
        "figures": read_figures(evaluation),
    }


def try_to_train(subject: Subject, folder: Path, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return the figures of a skill; None, after saying why, where a command failed: the others go on."""
    try:
        found = train(subject, folder, arguments)
    except SystemExit as error:
        print(f"{subject.skill}: {error}", file=sys.stderr, flush=True)
        return None
    print(f"{subject.skill}: trained in {found['minutes']['training']} minutes", file=sys.stderr, flush=True)
    return found


def print_table(subjects: list[dict[str, Any]]) -> None:
    """Print one line for each task set of each skill, after the last stage."""
    print("| skill | task set | tasks | exact, percent | minutes of training |\n|---|---|---|---|---|")
    for subject in subjects:
        for line in whole_sets(subject):
            share, low, high = (100 * figure for figure in line["exact"])
            cells = [line["skill"], line["task_set"], line["tasks"], f"{share:.0f} [{low:.0f}, {high:.0f}]"]
            print(f"| {' | '.join(map(str, cells))} | {subject['minutes']['training']} |")
    made = [subject for subject in subjects if subject["program"] is not None]
    shares = [100 * min(line["exact"][0] for line in whole_sets(subject)) for subject in made]
    if shares:
        median, worst = statistics.median(shares), min(shares)
        print(f"\nskills of programs, the worse task set of each: median {median:.0f}, worst {worst:.0f}")


def whole_sets(subject: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures after the last stage; those of a part of a set have a comma in their name."""
    lines = subject["figures"]
    return [line for line in lines if line["arm"] == lines[-1]["arm"] and line["exact"] and "," not in line["task_set"]]


def main() -> None:
    """Train and evaluate each skill, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skills", nargs="*", default=list(SKILLS))
    parser.add_argument("--programs", nargs="*", default=[name for name in PROGRAMS if shutil.which(name)][:3])
    parser.add_argument("--rows", type=int, default=540, help="of each skill")
    parser.add_argument("--limit", type=int, help="tasks of each set")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--recipe", type=Path, help="in place of the demo's SFT")
    parser.add_argument("--output", type=Path, help="a folder for accuracies.json and the projects")
    arguments = parser.parse_args()
    subjects = [Subject(name) for name in arguments.skills]
    subjects += [Subject(f"{name}-skill", name) for name in arguments.programs]
    if arguments.output is not None and any((arguments.output / subject.skill).exists() for subject in subjects):
        parser.error(f"{arguments.output} has projects of an earlier run: name another folder")
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(arguments.jobs) as pool:
        folder = Path(temporary) if arguments.output is None else arguments.output
        folder.mkdir(parents=True, exist_ok=True)
        found = pool.map(lambda item: try_to_train(item, folder / item.skill, arguments), subjects)
        trained = [figures for figures in found if figures is not None]
    print_table(trained)
    if arguments.output is not None:
        asked = {"model": arguments.model, "rows": arguments.rows, "jobs": arguments.jobs}
        keep_figures(arguments.output / "accuracies.json", {**asked, "skills": trained})


if __name__ == "__main__":
    main()

"""Print random requests of the first-party skills, with their answers, to be read by a person.

    python benchmarks/sample_requests.py [SKILL ...] [--rows 300] [--seed 11] [--output benchmarks/results/requests]

Training and held-out rows stand in the sample as they do in a synthesis of 540 and 100 rows a skill with seed 0; seeds
that people wrote are left out. What to count: labels that are wrong, requests with two defensible answers, and
sentences that nobody would write. With ``--output``, each skill gets a file of its own there.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions, build_catalogue
from skillpm.runtime.host import Host
from skillpm.synth.generate import Synthesis, synthesise

SKILLS = Path(__file__).parent.parent / "skills"


def contributions_of(name: str) -> Contributions:
    """Return what a first-party skill brings."""
    return build_catalogue([Skill(name, "0", "0" * 64, SKILLS / name)], Host())[name]


def make(contributions: Contributions, rows: int, held_out: int) -> Synthesis:
    """Make rows that the contract alone judges."""
    contract = contributions.contract
    assert contract is not None

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        return [
            Judgement(verdict=contract.judge(episode.task.expected, episode.completion), rewards={})
            for episode in episodes
        ]

    return synthesise([contributions], judge, rows=rows, held_out=held_out, seed=0)


def sample(name: str, rows: int, seed: int) -> list[str]:
    """Return lines of split, request and answer."""
    made = make(contributions_of(name), 540, 100)
    tasks = [task for task in (*made.train, *made.held_out) if task.origin == "rule"]
    chosen = random.Random(seed).sample(tasks, min(rows, len(tasks)))
    return [f"{task.split}\t{json.dumps(task.request)}\t{_answer(task.expected)}" for task in chosen]


def _answer(expected: dict[str, dict[str, object]]) -> str:
    if "args" not in expected:  # a question, a refusal or a text
        return json.dumps(expected)
    return " ".join(
        [str(expected["tool"]), *(f"{name}={value!r}" for name, value in expected["args"].items() if value)]
    )


def main() -> None:
    """Print or write the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skills", nargs="*", default=sorted(path.name for path in SKILLS.iterdir()))
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    for name in arguments.skills:
        text = "".join(f"{line}\n" for line in sample(name, arguments.rows, arguments.seed))
        if arguments.output is None:
            print(f"# {name}\n{text}", end="")
        else:
            arguments.output.mkdir(parents=True, exist_ok=True)
            (arguments.output / f"{name}.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

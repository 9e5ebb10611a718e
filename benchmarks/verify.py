"""Verifies 1,000 installed skills, whole and damaged: what, peer, ours, ratio.

The skills are those of ``benchmarks/install.py``. Each figure is the median of several runs, wall clock with process
start. The floor is ``sha256sum`` over the very same files, those of the store and those of the agents' folder; other
managers that can check what they installed are timed where they are on this machine, and named where they are not.

Run: ``python benchmarks/verify.py [--runs 5] [--count 1000]``
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from install import ROOT, generate, skillpm

PEERS = ("apm", "gh")
FLOOR = ["sh", "-c", 'find "$0" "$1" -type f -print0 | xargs -0 sha256sum']


def clock(words: Sequence[str], cwd: Path, environment: Mapping[str, str], runs: int, expected: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(list(words), cwd=cwd, env=dict(environment), capture_output=True, text=True)
        times.append(time.perf_counter() - start)
        if done.returncode != expected:
            raise SystemExit(f"{' '.join(words[:4])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        measure(Path(folder), options.count, options.runs)
    absent = [name for name in PEERS if shutil.which(name) is None]
    if absent:
        print(f"not on this machine, so not measured: {', '.join(absent)}")


def measure(scratch: Path, count: int, runs: int) -> None:
    generate(scratch / "source", count)
    project = scratch / "project"
    project.mkdir()
    environment = {
        **os.environ,
        "HOME": str(scratch),
        "SKILLPM_HOME": str(scratch / "home"),
        "PYTHONPATH": str(ROOT),
    }
    paths = [f"{path}/" for path in sorted((scratch / "source").iterdir())]
    clock(skillpm("install", *paths), project, environment, 1, 0)
    places = [str(scratch / "home/data/store/tree-v1"), str(project / ".agents/skills")]
    floor = clock([*FLOOR, *places], project, environment, runs, 0)
    print(f"{'what':<40} {'peer':<12} {'peer s':>8} {'ours s':>8} {'ratio':>7}")
    row(f"verify {count} skills, all whole", floor, clock(skillpm("verify"), project, environment, runs, 0))
    with (project / ".agents/skills/bench-skill-0000/SKILL.md").open("a") as file:
        file.write("edited\n")
    row(f"verify {count} skills, one edited", floor, clock(skillpm("verify"), project, environment, runs, 1))
    one = clock(skillpm("verify", "bench-skill-0001"), project, environment, runs, 0)
    row(f"verify one of {count} skills", floor, one)


def row(what: str, theirs: float, ours: float) -> None:
    print(f"{what:<40} {'sha256sum':<12} {theirs:>8.3f} {ours:>8.3f} {ours / theirs:>6.1f}x")


if __name__ == "__main__":
    main()

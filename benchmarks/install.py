"""Installs 1, 100 and 1,000 generated skills: what, peer, ours, ratio.

Skills are made as in the peers' own measurements: SKILL.md with 100 lines of body, a script of 20 lines, a reference of
200 lines. Each figure is the median of several runs, wall clock with process start, each in a fresh project and a fresh
home on the fastest folder there is (/dev/shm where it exists). ``cp -r`` is the floor; other managers are timed where
they are on this machine, and named where they are not.

Run: ``python benchmarks/install.py [--runs 5] [--counts 1 100 1000]``
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS: dict[str, list[str]] = {
    "npx skills": ["skills", "add", "{source}", "--skill", "*", "-a", "claude-code", "-y", "--copy"],
    "gh skill": ["gh", "skill", "install", "{source}", "--from-local", "--all", "--agent", "claude-code"],
    "openskills": ["openskills", "install", "{source}", "-y"],
}
GOALS = {1: 0.2, 100: 0.35, 1000: 1.2}


def generate(root: Path, count: int) -> None:
    for number in range(count):
        name = f"bench-skill-{number:04d}"
        folder = root / name
        (folder / "scripts").mkdir(parents=True)
        (folder / "references").mkdir()
        head = f"---\nname: {name}\ndescription: Handles case {number}. Use when a benchmark runs.\nlicense: MIT\n---\n"
        body = "".join(f"Step {line}: look at item {line * number % 97} and note what is odd.\n" for line in range(100))
        (folder / "SKILL.md").write_text(head + body)
        (folder / "scripts/run.py").write_text("".join(f"print({line}, {number})\n" for line in range(20)))
        reference = "".join(
            f"Reference line {line} of skill {number}: value {line * 31 % 101}.\n" for line in range(200)
        )
        (folder / "references/REFERENCE.md").write_text(reference)


def clock(arguments: list[str], cwd: Path, environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(arguments, cwd=cwd, env=dict(environment), capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:4])} … failed:\n{done.stderr[-2000:]}")
    return seconds


class Bench:
    """Fresh projects below one scratch folder."""

    def __init__(self, scratch: Path, runs: int) -> None:
        self.scratch = scratch
        self.runs = runs
        self._made = 0

    def fresh(self) -> tuple[Path, dict[str, str]]:
        """Make a project folder and a home."""
        self._made += 1
        place = self.scratch / f"run{self._made}"
        (place / "project").mkdir(parents=True)
        home = place / "home"
        home.mkdir()
        environment = {**os.environ, "HOME": str(home), "SKILLPM_HOME": str(home / "s"), "PYTHONPATH": str(ROOT)}
        environment |= {"PYTHONPYCACHEPREFIX": str(self.scratch / "bytecode")}  # as pip leaves it: compiled once
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return place / "project", environment

    def median(self, make: Callable[[Path], list[str]], *, before: Callable[[Path], list[str]] | None = None) -> float:
        """Time a command in fresh projects, after another one where that is given."""
        times = []
        for _ in range(self.runs):
            project, environment = self.fresh()
            if before is not None:
                clock(before(project), project, environment)
            times.append(clock(make(project), project, environment))
            shutil.rmtree(project.parent)
        return statistics.median(times)


def skillpm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "skillpm", *arguments]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 100, 1000])
    options = parser.parse_args()
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        scratch = Path(folder)
        bench = Bench(scratch, options.runs)
        print(f"{'what':<40} {'peer':<12} {'peer s':>8} {'ours s':>8} {'ratio':>7}  goal s")
        for count in options.counts:
            measure(bench, scratch / f"source{count}", count)
    absent = [name for name, command in PEERS.items() if shutil.which(command[0]) is None]
    if absent:
        print(f"not on this machine, so not measured: {', '.join(absent)}")


def require(project: Path, source: Path) -> list[str]:
    """Write a project file that requires every skill of a folder; return the command that installs them."""
    lines = "".join(f"  {path.name}: {{path: {path}}}\n" for path in sorted(source.iterdir()))
    (project / "skillpm.yaml").write_text(f"project: 1\nrequires:\n{lines}")
    return skillpm("sync")


def measure(bench: Bench, source: Path, count: int) -> None:
    generate(source, count)
    paths = [f"{path}/" for path in sorted(source.iterdir())]
    goal = GOALS.get(count)
    ours = bench.median(lambda project: skillpm("install", *paths))
    floor = bench.median(lambda project: ["cp", "-r", str(source), str(project)])
    row(f"install {count} local skills", "cp -r", floor, ours, goal)
    for name, command in PEERS.items():
        if shutil.which(command[0]):
            words = [word.format(source=source) for word in command]
            row(f"install {count} local skills", name, bench.median(lambda _, words=words: words), ours, goal)
    again = bench.median(lambda _: skillpm("install"), before=lambda _: skillpm("install", *paths))
    row(f"install {count} again: nothing to do", "cp -r", floor, again, 0.15 if count == 100 else None)
    frozen = bench.median(lambda _: skillpm("sync", "--frozen"), before=lambda project: require(project, source))
    row(f"sync --frozen of {count}: nothing to do", "cp -r", floor, frozen, 0.15 if count == 100 else None)


def row(what: str, peer: str, theirs: float, ours: float, goal: float | None) -> None:
    print(f"{what:<40} {peer:<12} {theirs:>8.3f} {ours:>8.3f} {ours / theirs:>6.1f}x  {goal or '-'}")


if __name__ == "__main__":
    main()

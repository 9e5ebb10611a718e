"""Published benchmarks for skillpm, each as a skill whose suites and verifier come from the benchmark's own package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.plugin import Benchmark, hookimpl
from skillpm_benchmarks import leaderboard

if TYPE_CHECKING:
    from skillpm.plugin import Skill, Suite, Verifier

_FOLDER = Path(__file__).parent / leaderboard.NAME


@hookimpl
def skillpm_benchmarks() -> Sequence[Benchmark]:
    """Return the leaderboard."""
    return [Benchmark(leaderboard.NAME, _FOLDER)]


@hookimpl
def skillpm_suites(skill: Skill) -> Sequence[Suite]:
    """Return a suite for each category of the benchmark that a skill stands for."""
    return leaderboard.suites() if skill.name == leaderboard.NAME else ()


@hookimpl
def skillpm_verifier(skill: Skill) -> Verifier | None:
    """Return the benchmark's own judge."""
    return leaderboard.Judge() if skill.name == leaderboard.NAME else None

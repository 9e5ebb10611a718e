"""Resolves skills of generated registries, beside nab-resolver and resolvelib.

Registries of 1,000 skills with 20 versions each. ``layered``: a skill requires up to five lower ones, each kept by
nine of ten versions, with ranges that are wide or, as often as ``tight`` says, three versions narrow; 20 roots.
``majors``: most skills require nothing, the others up to three, within one of four major versions; 15 roots. The second
is what skills look like, and the harder one: ranges exclude each other by whole majors.

Peers, each with the smallest provider that is right: nab-resolver, the solver that ours stands on, over numbers; and
resolvelib, which pip uses, in a process of its own that is stopped when it takes too long. Figures are CPU seconds
within one process, imports apart; ours begins with the registry's pages, which includes reading every PEP 440
text anew.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nab_resolver.errors import ResolutionError as NoSolution
from nab_resolver.ranges import Range
from nab_resolver.resolver import BaseProvider, Resolver
from nab_resolver.types import RootRequirement

from skillpm.errors import ResolutionError
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve import candidates
from skillpm.resolve.resolver import resolve

SKILLS, VERSIONS = 1_000, 20
DIGEST = "0" * 64
Needs = dict[str, tuple[int, int]]  # name: least and greatest version


@dataclass(frozen=True)
class Case:
    """A registry and what is asked of it."""

    name: str
    versions: Mapping[str, Mapping[int, Needs]]
    roots: Mapping[str, tuple[int, int]]


def layered(seed: int, tight: float) -> Case:
    dice = random.Random(seed)
    versions: dict[str, dict[int, Needs]] = {}
    for number in range(SKILLS):
        lower = dice.sample(range(number), min(number, dice.randint(0, 5)))
        versions[f"s{number}"] = {}
        for version in range(1, VERSIONS + 1):
            needs: Needs = {}
            for other in lower:
                if dice.random() < 0.9:
                    wide = dice.random() >= tight
                    low = dice.randint(1, max(1, version - 2)) if wide else max(1, version - 1)
                    needs[f"s{other}"] = (low, VERSIONS if wide else min(VERSIONS, version + 1))
            versions[f"s{number}"][version] = needs
    roots = dice.sample(range(SKILLS // 2, SKILLS), 20)
    return Case(f"layered, tight {tight}, seed {seed}", versions, {f"s{root}": (1, VERSIONS) for root in roots})


def majors(seed: int) -> Case:
    dice = random.Random(seed)
    versions: dict[str, dict[int, Needs]] = {}
    for number in range(SKILLS):
        bases = dice.sample(range(number), min(number, dice.choice([0, 0, 0, 1, 1, 2, 3])))
        versions[f"s{number}"] = {}
        for version in range(1, VERSIONS + 1):
            needs = {}
            for base in bases:
                major = max(0, (version - 1) // 5 - dice.randint(0, 1))
                needs[f"s{base}"] = (major * 5 + dice.randint(1, 3), major * 5 + 5)
            versions[f"s{number}"][version] = needs
    roots = dice.sample(range(SKILLS // 2, SKILLS), 15)
    return Case(f"majors, seed {seed}", versions, {f"s{root}": (1, VERSIONS) for root in roots})


def valid(case: Case, pins: Mapping[str, int]) -> bool:
    edges = [*case.roots.items(), *(edge for name, pin in pins.items() for edge in case.versions[name][pin].items())]
    return all(name in pins and low <= pins[name] <= high for name, (low, high) in edges)


def pages(case: Case) -> Callable[[str], Page | None]:
    """Return what an index would, one release for each version, written as ``4.0.0``."""
    made = {
        name: Page(
            name=name,
            releases=tuple(
                Release(
                    version=f"{version}.0.0",
                    archive=DIGEST,
                    tree=DIGEST,
                    size=1,
                    requires={other: f">={low}.0.0,<{high + 1}" for other, (low, high) in needs.items()},
                )
                for version, needs in versions.items()
            ),
        )
        for name, versions in case.versions.items()
    }
    return made.get


def ours(case: Case) -> Callable[[], dict[str, int] | None]:
    page, roots = pages(case), [Requirement.of(name, f">={low}") for name, (low, _) in case.roots.items()]

    def run() -> dict[str, int] | None:
        candidates._version.cache_clear()
        candidates._wanted.cache_clear()
        try:
            chosen = resolve(roots, page)
        except ResolutionError:
            return None
        return {name: int(release.version.partition(".")[0]) for name, release in chosen.items()}

    return run


class Bare(BaseProvider[str, int]):
    """The smallest provider for nab-resolver."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def choose_version(self, package: str, version_range: Any) -> int | None:
        """Return the newest."""
        return next((version for version in range(VERSIONS, 0, -1) if version in version_range), None)

    def has_satisfying_version(self, package: str, version_range: Any) -> bool:
        """Is there one?"""
        return self.choose_version(package, version_range) is not None

    def get_dependencies(self, package: str, version: int) -> Mapping[str, Range[int]]:
        """Return what a release requires."""
        return {name: interval(*limits) for name, limits in self._case.versions[package][version].items()}

    def prioritize(
        self, package: str, version_range: Any, conflict_counts: Mapping[str, int], culprit_counts: Any = None
    ) -> Any:
        """Decide what was in conflict most often first."""
        left = sum(1 for version in range(1, VERSIONS + 1) if version in version_range)
        return -conflict_counts.get(package, 0), left, package

    def widen_decision(self, package: str, version: int) -> Range[int] | None:
        """Widen nothing."""
        return None


def interval(low: int, high: int) -> Range[int]:
    return Range(((low, True, high, True),))


def bare(case: Case) -> Callable[[], dict[str, int] | None]:
    def run() -> dict[str, int] | None:
        try:
            roots = [RootRequirement(name, interval(*limits)) for name, limits in case.roots.items()]
            return dict(Resolver(Bare(case)).resolve(roots))
        except NoSolution:
            return None

    return run


RESOLVELIB = """
import json, sys, time
from collections import namedtuple
from resolvelib import AbstractProvider, BaseReporter, Resolver, ResolutionImpossible, ResolutionTooDeep
Need = namedtuple("Need", "name low high")
Pin = namedtuple("Pin", "name version")
case = json.load(sys.stdin)
class Provider(AbstractProvider):
    def identify(self, requirement_or_candidate): return requirement_or_candidate.name
    def get_preference(self, identifier, resolutions, candidates, information, backtrack_causes):
        caused = any(identifier in (c.requirement.name, getattr(c.parent, "name", None)) for c in backtrack_causes)
        return not caused, sum(1 for _ in candidates[identifier]) > 1, identifier
    def find_matches(self, identifier, requirements, incompatibilities):
        needs, bad = list(requirements[identifier]), {c.version for c in incompatibilities[identifier]}
        return [Pin(identifier, v) for v in range(len(case["versions"][identifier]), 0, -1)
                if v not in bad and all(n.low <= v <= n.high for n in needs)]
    def is_satisfied_by(self, requirement, candidate): return requirement.low <= candidate.version <= requirement.high
    def get_dependencies(self, candidate):
        return [Need(n, *r) for n, r in case["versions"][candidate.name][str(candidate.version)].items()]
times = []
for _ in range(case["rounds"]):
    start = time.process_time()
    try:
        found = Resolver(Provider(), BaseReporter()).resolve([Need(n, *r) for n, r in case["roots"].items()], 10**7)
        pins = {k: c.version for k, c in found.mapping.items()}
    except (ResolutionImpossible, ResolutionTooDeep, RecursionError):
        pins = None
    times.append(time.process_time() - start)
    if times[-1] > 2: break
print(json.dumps({"seconds": sorted(times)[len(times) // 2], "pins": pins}))
"""


def resolvelib(case: Case, python: Path, rounds: int, patience: float) -> float:
    """Return its seconds, infinite where it gave no answer in time."""
    document = {"versions": case.versions, "roots": case.roots, "rounds": rounds}
    try:
        done = subprocess.run(
            [python, "-c", RESOLVELIB], input=json.dumps(document), capture_output=True, text=True, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return math.inf
    return math.inf if done.returncode else float(json.loads(done.stdout)["seconds"])


def clock(case: Case, run: Callable[[], dict[str, int] | None], rounds: int) -> tuple[float, bool]:
    """Return the median time, and whether there is an answer; each was checked."""
    seconds, pins = [], None
    for _ in range(rounds):
        start = time.process_time()
        pins = run()
        seconds.append(time.process_time() - start)
        if pins is not None and not valid(case, pins):
            raise SystemExit(f"{case.name}: an answer that is none")
    return statistics.median(seconds), pins is not None


def compared(
    seeds: int, rounds: int, python: Path | None, patience: float
) -> Iterator[tuple[str, dict[str, float], float]]:
    """Yield for each registry its kind, the peers' seconds and ours."""
    cases = [(f"layered, tight {tight}", layered(seed, tight)) for tight in (0.0, 0.2, 0.5) for seed in range(seeds)]
    cases += [("majors", majors(seed)) for seed in range(seeds)]
    for kind, case in cases:
        base, expected = clock(case, bare(case), rounds if kind != "majors" else 1)
        mine, answered = clock(case, ours(case), rounds)
        if answered != expected:
            raise SystemExit(f"{case.name}: ours and nab-resolver disagree whether there is an answer")
        theirs = {"nab-resolver": base}
        if python is not None:
            theirs["resolvelib"] = resolvelib(case, python, rounds, patience)
        yield kind, theirs, mine

"""Chooses one release for each required name (PubGrub, by nab-resolver).

Rules: versions and specifiers are PEP 440. A locked version is kept where it fits. Else the newest final release; a
pre-release only where nothing else fits or where a person's own specifier names one; a release that is withheld,
because it was yanked or is too young, only where a person's own ``==`` names it or the lock has it. Cycles are allowed.
Source: https://github.com/dart-lang/pub ``doc/solver.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from nab_resolver.errors import ResolutionError as NoSolution
from nab_resolver.errors import ResolutionTerminatedError
from nab_resolver.ranges import Range
from nab_resolver.resolver import BaseProvider, Resolver
from nab_resolver.types import RootRequirement

from skillpm.errors import ResolutionError, UnknownSkillError
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Universe, Withheld, numbers_range, yanked
from skillpm.resolve.explain import explain

__all__ = ["resolve"]

Near = Callable[[str], list[str]]


def resolve(
    requirements: Sequence[Requirement],
    page: Callable[[str], Page | None],
    *,
    preferred: Mapping[str, str] | None = None,
    near: Near = lambda name: [],
    withheld: Withheld = yanked,
    first: Collection[str] = (),
) -> dict[str, Release]:
    """Return the chosen release of every name that is needed.

    Args:
        requirements: what the person requires; several for one name are all met.
        page: the releases of a name, None where it is unknown.
        preferred: locked versions by name.
        near: known names like an unknown one, for hints.
        withheld: why a release is not chosen unless it is asked for.
        first: names that are decided before all others, so that these others move for them.

    Raises:
        UnknownSkillError: no index knows a name that the person requires.
        ResolutionError: no set of releases meets everything; ``details["causes"]`` has the whole argument.
    """
    roots = tuple(dict.fromkeys(requirements))
    universe = Universe(page, roots, preferred or {}, withheld)
    _refuse_unknown(roots, universe, near)
    asked = [
        RootRequirement(root.name, universe.candidates(root.name).range(root.specifier), origin=root) for root in roots
    ]
    try:
        pins: dict[str, int] = Resolver(_Provider(universe, first)).resolve(asked)
    except ResolutionTerminatedError as error:
        raise ResolutionError(
            f"gave up looking for releases that fit: {error}",
            hint="ask for fewer skills at once, or for exact versions",
        ) from None
    except NoSolution as error:
        raise explain(error.incompatibility, universe, near) from None
    return {name: universe.candidates(name).releases[number] for name, number in sorted(pins.items())}


def _refuse_unknown(roots: Sequence[Requirement], universe: Universe, near: Near) -> None:
    unknown = [root.name for root in roots if not universe.candidates(root.name).known]
    if not unknown:
        return
    alike = near(unknown[0])
    names = " or ".join(f"`{name}`" for name in alike)
    raise UnknownSkillError(
        f"no index knows {', '.join(f'`{name}`' for name in unknown)}",
        hint=f"did you mean {names}?" if alike else "check the name, or add a registry with `--index`",
        names=unknown,
        near=alike,
    )


class _Provider(BaseProvider[str, int]):
    """What the solver asks."""

    def __init__(self, universe: Universe, first: Collection[str] = ()) -> None:
        self._universe = universe
        self._first = frozenset(first)
        self._dependencies: dict[tuple[str, int], dict[str, Range[int]]] = {}

    def choose_version(self, package: str, version_range: Any) -> int | None:
        """Return the best release of a range."""
        return self._universe.candidates(package).choose(version_range)

    def has_satisfying_version(self, package: str, version_range: Any) -> bool:
        """Is there any release of a range?"""
        return self.choose_version(package, version_range) is not None

    def get_dependencies(self, package: str, version: int) -> Mapping[str, Range[int]]:
        """Return what a release requires."""
        key = (package, version)
        if key not in self._dependencies:
            requires = self._universe.candidates(package).releases[version].requires
            self._dependencies[key] = {
                name: self._universe.candidates(name).range(Requirement.of(name, specifier).specifier)
                for name, specifier in sorted(requires.items())
            }
        return self._dependencies[key]

    def prioritize(
        self,
        package: str,
        version_range: Any,
        conflict_counts: Mapping[str, int],
        culprit_counts: Mapping[str, int] | None = None,
    ) -> Any:
        """Decide what shall be first, then what was in conflict most often, what has fewest releases, then by name."""
        count = self._universe.candidates(package).count(version_range)
        return package not in self._first, -conflict_counts.get(package, 0), count, package

    def widen_decision(self, package: str, version: int) -> Range[int] | None:
        """Return all releases that require the same, so that one clause speaks of them all."""
        releases = self._universe.candidates(package).releases
        requires = releases[version].requires
        return numbers_range(
            frozenset(number for number, release in enumerate(releases) if release.requires == requires)
        )

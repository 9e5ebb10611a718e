"""The search where requirements meet: PubGrub, by nab-resolver, and what is told where nothing fits.

Source: https://github.com/dart-lang/pub ``doc/solver.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from nab_resolver.errors import ResolutionError as NoSolution
from nab_resolver.errors import ResolutionTerminatedError
from nab_resolver.ranges import Range
from nab_resolver.resolver import DEFAULT_MAX_ITERATIONS, BaseProvider, Resolver
from nab_resolver.types import IncompatibilityCause, RootRequirement

from skillpm.errors import ResolutionError
from skillpm.model.release import Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Universe
from skillpm.resolve.explain import argument, facts
from skillpm.resolve.remedy import remedies
from skillpm.resolve.wording import Clause, Wording, positive

Near = Callable[[str], list[str]]

_TRIAL = 3_000  # steps of a search that only looks for a hint
_CORE = 12  # requirements of a proof that are tried one by one for being needed in it


def search(
    roots: Sequence[Requirement],
    universe_of: Callable[[Sequence[Requirement]], Universe],
    *,
    typed: Collection[str] | None,
    near: Near,
    first: Collection[str],
) -> dict[str, Release]:
    """Return the chosen release of every name that is needed.

    ``universe_of`` gives the names that a resolution of these requirements meets. See ``resolve`` for the other
    arguments.

    Raises:
        ResolutionError: no set of releases meets everything.
    """
    universe = universe_of(roots)

    def fits(others: Sequence[Requirement]) -> dict[str, Release] | None:
        try:
            return _solve(others, universe_of(others), first, _TRIAL)
        except (NoSolution, ResolutionTerminatedError):
            return None

    try:
        return _solve(roots, universe, first)
    except ResolutionTerminatedError as error:
        raise ResolutionError(
            f"stopped searching for releases that fit: {error}",
            hint="ask for fewer skills at once, or for exact versions",
        ) from None
    except NoSolution as error:
        core, proof = _core(_proof(error), universe)
    wording = Wording(universe, typed)
    offered = remedies(roots, core, proof, universe, fits)
    hints = [*_spelling(proof, universe, near), *(remedy.text for remedy in offered)]
    raise ResolutionError(
        argument(proof, wording),
        hint=", or ".join(hints) or "ask the publishers of these skills for releases that fit together",
        causes=[str(fact) for fact in facts(proof, wording)],
        requirements=[str(root) for root in core],
        remedies=[[str(requirement) for requirement in remedy.requirements] for remedy in offered],
    )


def _solve(
    roots: Sequence[Requirement], universe: Universe, first: Collection[str] = (), steps: int = DEFAULT_MAX_ITERATIONS
) -> dict[str, Release]:
    """Search; raise NoSolution with the proof, or ResolutionTerminatedError after ``steps`` steps."""
    root_requirements = [
        RootRequirement(root.name, universe.candidates(root.name).range(root.specifier), origin=root) for root in roots
    ]
    pins: dict[str, int] = _Solver(_Provider(universe, first), max_iterations=steps).resolve(root_requirements)
    return {name: universe.candidates(name).releases[number] for name, number in sorted(pins.items())}


def _core(proof: Clause, universe: Universe) -> tuple[list[Requirement], Clause]:
    """Return requirements that exclude each other, of which none can be spared, and the proof of that."""
    # The solver's proof is right but not minimal: a requirement that is not needed can stand in it and would be blamed.
    # So each is left out once (the deletion filter: Chinneck and Dravnieks, ORSA Journal on Computing 3, 1991). Where
    # the rest has no solution, its proof replaces this one, and may have lost several at once. Where the search gives
    # up, the requirement stays: an argument with one premise too many is still right. All trials have the universe of
    # all requirements, where a pre-release or a withheld release that one of them names may be chosen. A proof
    # that holds there also holds in the smaller universe of the rest.
    core = _roots(proof)
    for root in list(core) if len(core) <= _CORE else []:
        if root not in core:
            continue
        fewer = [other for other in core if other != root]
        try:
            _solve(fewer, universe, steps=_TRIAL)
        except ResolutionTerminatedError:
            continue
        except NoSolution as error:
            proof = _proof(error)
            core = _roots(proof)
    return core, proof


def _proof(error: NoSolution) -> Clause:
    assert error.incompatibility is not None, "a search that ends without a solution has a proof of it"
    return error.incompatibility


def _roots(proof: Clause) -> list[Requirement]:
    roots = {
        clause.origin
        for clause in proof.walk()
        if clause.cause is IncompatibilityCause.ROOT and isinstance(clause.origin, Requirement)
    }
    return sorted(roots)


def _spelling(proof: Clause, universe: Universe, near: Near) -> list[str]:
    """Return hints for names that no registry has."""
    names = {
        name
        for clause in proof.walk()
        if clause.cause is IncompatibilityCause.NO_VERSIONS
        for name, _ in positive(clause)
        if not universe.candidates(name).known
    }
    return [
        f"`{name}` may mean {' or '.join(f'`{other}`' for other in near(name))}"
        if near(name)
        else f"add the registry that has `{name}`"
        for name in sorted(names)
    ]


class _Solver(Resolver[str, int]):
    """The solver without jumps to the cause of many conflicts: on hard registries they double the work."""

    MAX_TARGETED_BACKTRACKS = 0


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
                name: self._universe.candidates(name).range(specifier) for name, specifier in sorted(requires.items())
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
        return self._universe.candidates(package).alike(version)

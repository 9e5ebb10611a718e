"""Chooses one release for each required name (PubGrub, by nab-resolver).

Rules: versions and specifiers are PEP 440. A locked version is kept where it fits, else the newest is taken. A yanked
release is taken only where it is locked; a pre-release only where a person's own requirement names one, where it is
locked, or where the name has no other releases; what a policy withholds only where it is locked or a person's own
``==`` names it. Cycles are allowed. Source: https://github.com/dart-lang/pub ``doc/solver.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nab_resolver.errors import ResolutionError as NoSolution
from nab_resolver.errors import ResolutionTerminatedError
from nab_resolver.ranges import Range
from nab_resolver.resolver import DEFAULT_MAX_ITERATIONS, BaseProvider, Resolver
from nab_resolver.types import IncompatibilityCause, RootRequirement

from skillpm.errors import ResolutionError, UnknownSkillError
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Universe, Withheld, nothing_withheld

if TYPE_CHECKING:
    from skillpm.resolve.wording import Clause

__all__ = ["resolve"]

_TRIAL = 3_000  # steps of a search that only looks for a hint
_CORE = 12  # requirements of a proof that are tried one by one for being needed in it

Near = Callable[[str], list[str]]


def resolve(
    requirements: Sequence[Requirement],
    page: Callable[[str], Page | None],
    *,
    preferred: Mapping[str, str] | None = None,
    typed: Collection[str] | None = None,
    near: Near = lambda name: [],
    withheld: Withheld = nothing_withheld,
    first: Collection[str] = (),
) -> dict[str, Release]:
    """Return the chosen release of every name that is needed.

    Args:
        requirements: what is required; several for one name are all met.
        page: the releases of a name, from the one registry that answers for it; None where it is unknown.
        preferred: locked versions by name.
        typed: the names that a person asks for now, which a conflict tells from the project's; all where None.
        near: known names like an unknown one, for hints.
        withheld: why a policy does not want a release, in words that follow "it is"; None where it does.
        first: names that are decided before all others, so that these others move for them.

    Raises:
        UnknownSkillError: no registry has a name that is required.
        ResolutionError: no set of releases meets everything; ``details`` hold the facts that exclude each other
            (``causes``), the fewest requirements that do (``requirements``), and others that would fit (``remedies``).
    """
    roots, locked = tuple(dict.fromkeys(requirements)), preferred or {}
    pages = cache(page)
    universe = Universe(pages, roots, locked, withheld)
    _refuse_unknown(roots, universe, near)

    alone = _independent(roots, universe)
    if alone is not None:
        return alone

    def fits(others: Sequence[Requirement]) -> dict[str, Release] | None:
        try:
            return _solve(others, Universe(pages, others, locked, withheld), first, _TRIAL)
        except (NoSolution, ResolutionTerminatedError):
            return None

    try:
        return _solve(roots, universe, first)
    except ResolutionTerminatedError as error:
        raise ResolutionError(
            f"gave up looking for releases that fit: {error}",
            hint="ask for fewer skills at once, or for exact versions",
        ) from None
    except NoSolution as error:
        core, proof = _core(_proof(error), universe)
    from skillpm.resolve.explain import argument, facts
    from skillpm.resolve.remedy import remedies
    from skillpm.resolve.wording import Wording

    wording = Wording(universe, typed)
    offered = remedies(roots, core, proof, universe, fits)
    hints = [*_spelling(proof, universe, near), *(remedy.text for remedy in offered)]
    raise ResolutionError(
        argument(proof, wording),
        hint=", or ".join(hints) or "ask those who publish these skills for releases that go together",
        causes=facts(proof, wording),
        requirements=[str(root) for root in core],
        remedies=[[str(requirement) for requirement in remedy.requirements] for remedy in offered],
    )


def _independent(roots: Sequence[Requirement], universe: Universe) -> dict[str, Release] | None:
    """Return the best release of each name where none of these requires anything: then there is nothing to search."""
    found: dict[str, Release] = {}
    for root in sorted(roots):
        candidates = universe.candidates(root.name)
        number = candidates.choose(candidates.range(root.specifier))
        if number is None or root.name in found or candidates.releases[number].requires:
            return None
        found[root.name] = candidates.releases[number]
    return found


def _solve(
    roots: Sequence[Requirement],
    universe: Universe,
    first: Collection[str] = (),
    steps: int = DEFAULT_MAX_ITERATIONS,
) -> dict[str, Release]:
    """Search; raise NoSolution with the proof, or ResolutionTerminatedError after so many steps."""
    asked = [
        RootRequirement(root.name, universe.candidates(root.name).range(root.specifier), origin=root) for root in roots
    ]
    pins: dict[str, int] = _Solver(_Provider(universe, first), max_iterations=steps).resolve(asked)
    return {name: universe.candidates(name).releases[number] for name, number in sorted(pins.items())}


def _core(proof: Clause, universe: Universe) -> tuple[list[Requirement], Clause]:
    """Return requirements that exclude each other, of which none can be spared, and the proof of that."""
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
    found = {
        clause.origin
        for clause in proof.walk()
        if clause.cause is IncompatibilityCause.ROOT and isinstance(clause.origin, Requirement)
    }
    return sorted(found)


def _spelling(proof: Clause, universe: Universe, near: Near) -> list[str]:
    """Return hints for names that no registry has."""
    from skillpm.resolve.wording import positive

    names = {
        name
        for clause in proof.walk()
        if clause.cause is IncompatibilityCause.NO_VERSIONS
        for name, _ in positive(clause)
        if not universe.candidates(name).known
    }
    return [
        f"`{name}` may be meant for {' or '.join(f'`{other}`' for other in near(name))}"
        if near(name)
        else f"add the registry that has `{name}`"
        for name in sorted(names)
    ]


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


class _Solver(Resolver[str, int]):
    """The solver without jumps back to whoever caused many conflicts: on hard registries they double the work."""

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

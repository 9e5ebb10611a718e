"""Chooses one release for each required name.

Rules: versions and specifiers are PEP 440. A locked version is kept where it fits, else the newest is taken. A yanked
release is taken only where it is locked; a pre-release only where a person's own requirement names one, where it is
locked, or where the name has no other releases; what a policy withholds only where it is locked or a person's own
``==`` names it. Cycles are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from skillpm.errors import UnknownSkillError
from skillpm.model.name import meant
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Universe, Withheld, nothing_withheld

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
        page: the releases of a name, from the one registry that answers for it; None if it is unknown.
        preferred: locked versions by name.
        typed: the names that a person asks for now, which a conflict tells from the project's; all where None.
        near: known names like an unknown one, for hints.
        withheld: why a policy does not want a release, in words that follow "it is"; None if it does.
        first: names that are decided before all others, so that these others move for them.

    Raises:
        UnknownSkillError: no registry has a name that is required.
        ResolutionError: no set of releases meets everything; ``details`` hold the facts that exclude each other
            (``causes``), the fewest requirements that do (``requirements``), and others that would fit (``remedies``).
    """
    roots, locked = tuple(dict.fromkeys(requirements)), preferred or {}
    pages = cache(page)

    def universe_of(others: Sequence[Requirement]) -> Universe:
        return Universe(pages, others, locked, withheld)

    universe = universe_of(roots)
    _refuse_unknown(roots, universe, near)
    alone = _independent(roots, universe)
    if alone is not None:
        return alone
    from skillpm.resolve.search import search

    return search(roots, universe_of, typed=typed, near=near, first=first)


def _independent(roots: Sequence[Requirement], universe: Universe) -> dict[str, Release] | None:
    """Return the best release of each name where none of these requires anything: then there is nothing to search."""
    chosen: dict[str, Release] = {}
    for root in sorted(roots):
        candidates = universe.candidates(root.name)
        number = candidates.choose(candidates.range(root.specifier))
        if number is None or root.name in chosen or candidates.releases[number].requires:
            return None
        chosen[root.name] = candidates.releases[number]
    return chosen


def _refuse_unknown(roots: Sequence[Requirement], universe: Universe, near: Near) -> None:
    unknown = [root.name for root in roots if not universe.candidates(root.name).known]
    if not unknown:
        return
    alike = near(unknown[0])
    raise UnknownSkillError(
        f"no registry knows {', '.join(f'`{name}`' for name in unknown)}",
        hint=meant(alike) or "check the name, or add a registry with `--registry`",
        names=unknown,
        near=alike,
    )

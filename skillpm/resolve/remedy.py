"""Hints that end a conflict. Each was tried, so it works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from nab_resolver.types import IncompatibilityCause

from skillpm.model.release import Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Candidates, Universe
from skillpm.resolve.wording import Clause, positive

_OFFERED = 3
_TRIES = 16
Fits = Callable[[Sequence[Requirement]], Mapping[str, Release] | None]


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way out: the name that it is about, the requirements that fit, and how to say it.

    ``{version}`` in the text is what is then chosen of the name.
    """

    name: str
    requirements: tuple[Requirement, ...]
    text: str


def remedies(
    roots: Sequence[Requirement], core: Sequence[Requirement], proof: Clause, universe: Universe, fits: Fits
) -> list[Remedy]:
    """Return up to three changes of the requirements after which releases fit; to leave out one is the last resort.

    ``core`` has those of the roots that exclude each other, which ``proof`` shows. ``fits`` returns the chosen releases
    for other requirements.
    """
    changes = [*_prereleases(roots, proof, universe), *_withheld(roots, proof, universe), *_looser(roots, core)]
    return _tried(changes, fits) or _tried(_fewer(roots, core), fits)


def _tried(ideas: Iterable[Remedy], fits: Fits) -> list[Remedy]:
    offers: list[Remedy] = []
    for idea in islice(ideas, _TRIES):
        chosen = fits(idea.requirements)
        if chosen is not None:
            version = chosen[idea.name].version if idea.name in chosen else ""
            offers.append(replace(idea, text=idea.text.replace("{version}", version)))
        if len(offers) == _OFFERED:
            break
    return offers


def _prereleases(roots: Sequence[Requirement], proof: Clause, universe: Universe) -> Iterator[Remedy]:
    for name, version in _early(proof, universe):
        yield _exactly(name, version, roots, "ask for `{wanted}`, a pre-release")


def _withheld(roots: Sequence[Requirement], proof: Clause, universe: Universe) -> Iterator[Remedy]:
    for name, allowed in _absent(proof):
        candidates = universe.candidates(name)
        number = max((number for number in candidates.withheld if number in allowed), default=None)
        if number is not None:
            text = f"`{{wanted}}` takes that release although it is {candidates.withheld[number]}"
            yield _exactly(name, candidates.releases[number].version, roots, text)


def _exactly(name: str, version: str, roots: Sequence[Requirement], text: str) -> Remedy:
    wanted = Requirement(name, f"=={version}")
    others = (root for root in roots if root.name != name)
    return Remedy(name, (*others, wanted), text.replace("{wanted}", str(wanted)))


def _looser(roots: Sequence[Requirement], core: Sequence[Requirement]) -> Iterator[Remedy]:
    for root in core:
        if root.specifier:
            loose = Requirement(root.name)
            changed = tuple(loose if other == root else other for other in roots)
            yield Remedy(root.name, changed, f"ask for `{loose}` in place of `{root}`: {root.name} {{version}} fits")


def _fewer(roots: Sequence[Requirement], core: Sequence[Requirement]) -> Iterator[Remedy]:
    for name in dict.fromkeys(root.name for root in core):
        others = tuple(other for other in roots if other.name != name)
        if others:
            yield Remedy(name, others, f"leave out {name}")


def _absent(proof: Clause) -> Iterator[tuple[str, Any]]:
    """Yield (name, range) of what no release is there for."""
    for clause in proof.walk():
        if clause.cause is IncompatibilityCause.NO_VERSIONS:
            yield from positive(clause)


def _early(proof: Clause, universe: Universe) -> Iterator[tuple[str, str]]:
    """Yield the newest pre-release of each name of which a final release is missing."""
    for name, allowed in _absent(proof):
        candidates = universe.candidates(name)
        for number in reversed(_near(candidates, allowed)):
            release = candidates.releases[number]
            if candidates.versions[number].is_prerelease and release.usable:
                yield name, release.version
                break


def _near(candidates: Candidates, allowed: Any) -> list[int]:
    """Return the releases in a range, else those whose final release would be in it: 2.0rc1 for ``>=2``."""
    within = candidates.within(allowed)
    if within:
        return within
    wanted = [Requirement("x", specifier) for specifier in candidates.unmatched(allowed)]
    return [
        number
        for number, version in enumerate(candidates.versions)
        if any(requirement.admits(version.base_version) for requirement in wanted)
    ]

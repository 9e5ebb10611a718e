"""The facts and conclusions of a proof, in words: releases that exist, never abstract ranges.

The idea is uv's (astral-sh/uv, ``pubgrub/report.rs``): a range is shown as the releases within it, and a range that
holds none as the specifier that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nab_resolver.root import ROOT
from nab_resolver.types import Incompatibility, IncompatibilityCause

from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Candidates, Universe

_SHOWN = 6  # versions that a sentence names before it only counts
Clause = Incompatibility[Any, Any]


class Requirer(Enum):
    """Whose requirement a fact is."""

    YOU = "you require"
    PROJECT = "the project requires"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a proof.

    Attributes:
        text: the requirement, or else the whole sentence.
        requirer: whose requirement it is; None if it is none of a person's.
    """

    text: str
    requirer: Requirer | None = None

    def __str__(self) -> str:
        return f"{self.requirer.value} {self.text}" if self.requirer else self.text


def together(parts: Sequence[str], word: str = "and") -> str:
    """Join parts as a sentence does: ``a, b and c``."""
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


class Wording:
    """Words for the clauses of one proof. ``typed`` has the names that were asked for now; None means all of them."""

    def __init__(self, universe: Universe, typed: Collection[str] | None = None) -> None:
        self._universe = universe
        self._typed = typed

    def facts(self, clause: Clause) -> list[Fact]:
        """Return what a leaf of the proof says; none for what goes without saying."""
        if clause.cause is IncompatibilityCause.ROOT:
            return [self._root(clause.origin)] if isinstance(clause.origin, Requirement) else []
        if clause.cause is IncompatibilityCause.DEPENDENCY:
            return [Fact(sentence) for sentence in self._dependency(clause)]
        absences = (self._absence(name, self._universe.candidates(name), allowed) for name, allowed in positive(clause))
        return [Fact(absence) for absence in absences if absence]

    def conclusion(self, clause: Clause) -> str:
        """Return what a derived clause says."""
        about = list(positive(clause))
        used = [self._releases(name, allowed, "and") for name, allowed in about]
        needed = [self._releases(name, allowed, "or") for name, allowed in _negative(clause)]
        if not used and not needed:
            return "no releases fit together"
        if not used:
            return f"you need {', or '.join(needed)}"
        if needed:
            return f"{together(used)} can only be used with {', or with '.join(needed)}"
        if len(used) > 1:
            return f"{together(used)} exclude each other"
        name, allowed = about[0]
        candidates = self._universe.candidates(name)
        every = _is_every(candidates, candidates.within(allowed))
        return f"no release of {name} can be used" if every else f"{used[0]} cannot be used"

    def _root(self, requirement: Requirement) -> Fact:
        yours = self._typed is None or requirement.name in self._typed
        return Fact(str(requirement), Requirer.YOU if yours else Requirer.PROJECT)

    def _dependency(self, clause: Clause) -> Iterator[str]:
        parent, allowed = next(positive(clause))
        candidates = self._universe.candidates(parent)
        wanted = next((term.package for term in clause.terms if not term.is_positive()), parent)
        by_specifier: dict[str, list[int]] = {}
        for number in candidates.within(allowed):
            requires = candidates.releases[number].requires
            if wanted in requires:
                by_specifier.setdefault(requires[wanted], []).append(number)
        for specifier, group in by_specifier.items():
            plural = len(group) > 1 and len(group) < len(candidates.releases)
            required = Requirement.of(wanted, specifier)
            yield f"{_subject(parent, candidates, group)} {'require' if plural else 'requires'} {required}"

    def _absence(self, name: str, candidates: Candidates, allowed: Any) -> str:
        """Say why no release of a range can be chosen; nothing of releases that nobody asked for."""
        if not candidates.known:
            return f"no registry knows {name}"
        reasons = list(_refused(name, candidates, candidates.within(allowed)))
        if reasons:
            return together(reasons)
        locked = candidates.preferred
        wanted = candidates.unmatched(allowed)
        if (
            locked is not None
            and locked not in candidates.versions
            and any(Requirement(name, specifier).admits(str(locked), prereleases=True) for specifier in wanted)
        ):
            return f"{name} {locked}, which skillpm.lock has, is no longer published"
        if not wanted and candidates.releases:
            return ""
        usable = [number for number in range(len(candidates.releases)) if candidates.may_choose(number)]
        if not usable:
            return f"{name} has no release that may be chosen" if candidates.releases else f"{name} has no release"
        return f"only {name} {_versions(candidates, usable, 'and')} {'are' if len(usable) > 1 else 'is'} available"

    def _releases(self, name: str, allowed: Any, word: str) -> str:
        candidates = self._universe.candidates(name)
        numbers = candidates.within(allowed)
        if numbers:
            if word == "or" and _is_every(candidates, numbers):
                return f"some release of {name}"
            return _subject(name, candidates, numbers, word)
        return together([f"{name}{specifier}" for specifier in candidates.unmatched(allowed)] or [name], word)


def _is_every(candidates: Candidates, numbers: Sequence[int]) -> bool:
    """Are these all the releases of a name that has several?"""
    return len(numbers) == len(candidates.releases) > 1


def positive(clause: Clause) -> Iterator[tuple[str, Any]]:
    """Yield (name, range) of what is taken to be used."""
    for term in clause.terms:
        if term.package is not ROOT and term.is_positive():
            yield term.package, term.constraint


def _negative(clause: Clause) -> Iterator[tuple[str, Any]]:
    for term in clause.terms:
        if not term.is_positive():
            yield term.package, term.constraint


def _refused(name: str, candidates: Candidates, numbers: Sequence[int]) -> Iterator[str]:
    """Say of releases that satisfy everything why they are not taken."""
    for release in [candidates.releases[number] for number in numbers if not candidates.releases[number].usable]:
        reason = release.quarantined or release.yanked
        why = f" ({reason})" if isinstance(reason, str) else ""
        yield f"{name} {release.version} {'is in quarantine' if release.quarantined else 'was yanked'}{why}"
    others = [number for number in numbers if candidates.releases[number].usable]
    for number in [number for number in others if number in candidates.withheld]:
        yield f"{name} {candidates.releases[number].version} is {candidates.withheld[number]}"
    early = [number for number in others if number not in candidates.withheld]
    if early:
        many = len(early) > 1
        kind = "are pre-releases, which are" if many else "is a pre-release, which is"
        yield f"{name} {_versions(candidates, early, 'and')} {kind} chosen only if you ask for one"


def _subject(name: str, candidates: Candidates, numbers: Sequence[int], word: str = "and") -> str:
    if _is_every(candidates, numbers):
        return f"every release of {name}"
    return f"{name} {_versions(candidates, numbers, word)}"


def _versions(candidates: Candidates, numbers: Sequence[int], word: str) -> str:
    texts = [candidates.releases[number].version for number in numbers]
    if len(texts) <= _SHOWN:
        return together(texts, word)
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{texts[0]} to {texts[-1]} ({len(texts)} releases)"
    return f"{', '.join(texts[:2])}, … {texts[-1]} ({len(texts)} releases)"

"""Turns the solver's proof that nothing fits into sentences that people understand, and a hint.

The proof is a graph of clauses. Its leaves are facts: what you require, what a release requires, what exists. Those are
what a person can change, so the message states each of them once, in this order. The idea of speaking of existing
releases only, never of abstract ranges, is uv's (astral-sh/uv, ``pubgrub/report.rs``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nab_resolver.root import ROOT
from nab_resolver.types import Incompatibility, IncompatibilityCause

from skillpm.errors import ResolutionError
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import Candidates, Universe

__all__ = ["explain"]

_SHOWN = 6  # versions that a sentence names before it only counts
_ONE_LINE = 3  # facts that fit one line
_ORDER = (IncompatibilityCause.ROOT, IncompatibilityCause.DEPENDENCY, IncompatibilityCause.NO_VERSIONS)
Clause = Incompatibility[Any, Any]


def explain(proof: Clause | None, universe: Universe, near: Callable[[str], list[str]]) -> ResolutionError:
    """Return the error for a proof, with every fact in ``details["causes"]``."""
    clauses = list(proof.walk()) if proof else []
    leaves = [clause for cause in _ORDER for clause in clauses if clause.cause is cause]
    facts = list(dict.fromkeys(fact for clause in leaves for fact in _facts(clause, universe)))
    hints = dict.fromkeys(hint for clause in leaves for hint in _hints(clause, universe, near))
    separator = ", but " if len(facts) < _ONE_LINE else "; " if len(facts) == _ONE_LINE else "\n  "
    message = f"no releases fit together:{' ' if len(facts) <= _ONE_LINE else separator}{separator.join(facts)}"
    return ResolutionError(
        message, hint="; ".join(hints) or "loosen one of these requirements, or leave one skill out", causes=facts
    )


def _facts(clause: Clause, universe: Universe) -> Iterator[str]:
    if clause.cause is IncompatibilityCause.ROOT:
        if isinstance(clause.origin, Requirement):
            yield f"you require {clause.origin}"
    elif clause.cause is IncompatibilityCause.DEPENDENCY:
        yield from _dependency(clause, universe)
    elif clause.cause is IncompatibilityCause.NO_VERSIONS:
        for name, allowed in _positive(clause):
            yield _absence(name, universe.candidates(name), allowed)


def _positive(clause: Clause) -> Iterator[tuple[str, Any]]:
    for term in clause.terms:
        if term.package is not ROOT and term.is_positive():
            yield term.package, term.constraint


def _dependency(clause: Clause, universe: Universe) -> Iterator[str]:
    parent, allowed = next(_positive(clause))
    candidates = universe.candidates(parent)
    numbers = [number for number in range(len(candidates.releases)) if number in allowed]
    wanted = next((term.package for term in clause.terms if not term.is_positive()), parent)
    by_specifier: dict[str, list[int]] = {}
    for number in numbers:
        requires = candidates.releases[number].requires
        if wanted in requires:
            by_specifier.setdefault(requires[wanted], []).append(number)
    for specifier, group in by_specifier.items():
        plural = len(group) > 1 and len(group) < len(candidates.releases)
        required = Requirement.of(wanted, specifier)
        yield f"{_subject(parent, candidates, group)} {'require' if plural else 'requires'} {required}"


def _subject(name: str, candidates: Candidates, numbers: Sequence[int]) -> str:
    if len(numbers) == len(candidates.releases) > 1:
        return f"every release of {name}"
    return f"{name} {_versions(candidates, numbers)}"


def _versions(candidates: Candidates, numbers: Sequence[int]) -> str:
    texts = [candidates.releases[number].version for number in numbers]
    if len(texts) > _SHOWN:
        return f"{', '.join(texts[:2])}, … {texts[-1]} ({len(texts)} releases)"
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _absence(name: str, candidates: Candidates, allowed: Any) -> str:
    """Say why no release of a range can be chosen."""
    if not candidates.known:
        return f"no index knows {name}"
    if withheld := [number for number in candidates.withheld if number in allowed]:
        reasons: dict[str, list[int]] = {}
        for number in withheld:
            reasons.setdefault(candidates.withheld[number], []).append(number)
        return ", and ".join(
            f"{name} {_versions(candidates, group)} {'are' if len(group) > 1 else 'is'} {reason}"
            for reason, group in reasons.items()
        )
    usable = [number for number in range(len(candidates.releases)) if number not in candidates.withheld]
    if not usable:
        return f"{name} has no release"
    return f"only {name} {_versions(candidates, usable)} {'are' if len(usable) > 1 else 'is'} available"


def _hints(clause: Clause, universe: Universe, near: Callable[[str], list[str]]) -> Iterator[str]:
    if clause.cause is not IncompatibilityCause.NO_VERSIONS:
        return
    for name, allowed in _positive(clause):
        candidates = universe.candidates(name)
        if not candidates.known:
            alike = near(name)
            yield f"`{name}` may be `{'` or `'.join(alike)}`" if alike else f"add the registry that has `{name}`"
            continue
        yield from _release_hints(name, candidates, allowed)


def _release_hints(name: str, candidates: Candidates, allowed: Any) -> Iterator[str]:
    newest = max((number for number in candidates.withheld if number in allowed), default=None)
    if newest is not None:
        exact = f"{name}=={candidates.releases[newest].version}"
        yield f"`{exact}` takes that release all the same, though it is {candidates.withheld[newest]}"
    for specifier in candidates.unmatched(allowed):
        for version in reversed(candidates.versions):
            if version.is_prerelease and specifier.contains(version.base_version, prereleases=True):
                yield f"only the pre-release {version} comes near: ask for `{name}=={version}`"
                break

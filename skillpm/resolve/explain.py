"""Explains the solver's proof that no releases fit.

The proof is a graph of clauses. Its leaves are facts: what you require, what a release requires, what exists. Few facts
are one sentence; more become a line of argument in which each sentence begins where the last one ended. Source: the
order is that of https://github.com/dart-lang/pub ``doc/solver.md``, error reporting, without its line numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from nab_resolver.types import IncompatibilityCause

from skillpm.formats.printable import printable
from skillpm.resolve.wording import Clause, Fact, Requirer, Wording, positive, together

_AT_ONCE = 3  # clauses that one sentence may hold
_STEPS = 60  # derived clauses of a proof that is told as an argument; a longer one is told by its facts
_ORDER = (IncompatibilityCause.ROOT, IncompatibilityCause.DEPENDENCY, IncompatibilityCause.NO_VERSIONS)


def facts(proof: Clause, wording: Wording) -> list[Fact]:
    """Return every fact of a proof once: what you require, what releases require, what is not there."""
    clauses = [clause for clause in proof.walk() if clause.cause in _ORDER]
    depths = _depths(clauses)
    clauses.sort(key=lambda clause: (_ORDER.index(clause.cause), depths.get(_parent(clause), 0)))
    return list(dict.fromkeys(fact for clause in clauses for fact in wording.facts(clause)))


def _parent(clause: Clause) -> str:
    """Return the name that a clause is about."""
    return next((name for name, _ in positive(clause)), "")


def _depths(clauses: Sequence[Clause]) -> dict[str, int]:
    """Return how far each name is from where the argument begins, so that it is told from there on."""
    edges = [
        (_parent(clause), term.package)
        for clause in clauses
        if clause.cause is IncompatibilityCause.DEPENDENCY
        for term in clause.terms
        if not term.is_positive()
    ]
    wanted = {child for _, child in edges}
    level = {parent for parent, _ in edges} - wanted
    depths: dict[str, int] = {}
    while level:
        depths.update(dict.fromkeys(level, len(depths)))
        level = {child for parent, child in edges if parent in level} - depths.keys()
    return depths


def argument(proof: Clause, wording: Wording) -> str:
    """Return the proof in words: one line where it is short, else one sentence a line."""
    known = facts(proof, wording)
    if len(_clauses(known)) <= _AT_ONCE:
        return printable(f"no releases fit together, because {_joined(known)}")
    if sum(1 for clause in proof.walk() if clause.cause is IncompatibilityCause.DERIVED) > _STEPS:
        return "\n  ".join(["no releases fit together, because these facts exclude each other:", *map(_line, known)])
    return "\n  ".join(["no releases fit together:", *map(_line, _Argument(wording).of(proof))])


def _line(fact: object) -> str:
    """Return one line of the argument: a registry's words do not make another."""
    return printable(str(fact))


def _clauses(known: Sequence[Fact]) -> list[str]:
    """Return facts as clauses of a sentence; requirements become one: ``you require a and b<2``."""
    groups: dict[Requirer | Fact, list[str]] = {}
    for fact in known:
        groups.setdefault(fact.requirer or fact, []).append(fact.text)
    return [
        f"{about.value} {together(texts)}" if isinstance(about, Requirer) else about.text
        for about, texts in groups.items()
    ]


def _joined(known: Sequence[Fact]) -> str:
    clauses = _clauses(known)
    if len(clauses) > 2:
        return f"{', '.join(clauses[:-1])}, and {clauses[-1]}"
    return ", but ".join(clauses)


class _Argument:
    """The sentences of one proof, each clause proved once."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._sentences: list[str] = []
        self._proved: set[int] = set()

    def of(self, proof: Clause) -> list[str]:
        """Return the sentences that lead to a derived clause."""
        self._prove(proof)
        return self._sentences

    def _prove(self, clause: Clause) -> None:
        """Say why a derived clause holds; the last sentence then ends with it."""
        self._proved.add(id(clause))
        known = facts(clause, self._wording)
        conclusion = self._wording.conclusion(clause)
        if len(_clauses(known)) <= _AT_ONCE:
            self._sentences.append(f"Because {_joined(known)}, {conclusion}.")
            return
        causes = (cause for cause in (clause.cause_left, clause.cause_right) if cause is not None)
        first, second = sorted(causes, key=self._weight, reverse=True)
        if self._is_open(first):
            self._prove(first)
            if self._is_open(second) and self._weight(second) > _AT_ONCE:
                self._prove(second)
                self._sentences.append(f"Because {self._said(first)}, {conclusion}.")
                return
            self._sentences.append(f"And because {self._said(second)}, {conclusion}.")
            return
        self._sentences.append(f"Because {self._said(first)} and {self._said(second)}, {conclusion}.")

    def _is_open(self, clause: Clause) -> bool:
        return clause.cause is IncompatibilityCause.DERIVED and id(clause) not in self._proved

    def _weight(self, clause: Clause) -> int:
        """Return how many facts it takes to say why a clause holds; 0 if it was said."""
        if clause.cause is not IncompatibilityCause.DERIVED:
            return 1
        return 1 + len(_clauses(facts(clause, self._wording))) if self._is_open(clause) else 0

    def _said(self, clause: Clause) -> str:
        """Return a clause as a reason: its facts where they are few, else what it was proved to say."""
        if clause.cause is IncompatibilityCause.DERIVED and id(clause) in self._proved:
            return self._wording.conclusion(clause)
        return _joined(facts(clause, self._wording))

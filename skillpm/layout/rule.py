"""What a layout rule is: a record with a code, a severity at each level, a reason, and one function that looks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from skillpm.errors import DocumentError
from skillpm.model.finding import Finding, Problem, RuleText, Severity

if TYPE_CHECKING:
    from skillpm.layout.subject import Subject


class Level(StrEnum):
    """How a skill is judged: as clients load it, or by the specification to the letter."""

    LENIENT = "lenient"
    STRICT = "strict"


class Scope(StrEnum):
    """What a rule needs before it can look."""

    TREE = "tree"  # nothing: the tree is always there
    TEXT = "text"  # SKILL.md could be read as text
    FRONTMATTER = "frontmatter"  # its frontmatter is a mapping


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        code: ``SK`` and three digits; never used again for another rule.
        title: what is wrong, in a few words.
        lenient: the severity at level ``lenient``.
        strict: the severity at level ``strict``.
        why: what goes wrong for whom.
        look: yields the problems of a subject.
        scope: what must be readable before ``look`` is called.
    """

    code: str
    title: str
    lenient: Severity
    strict: Severity
    why: str
    look: Callable[[Subject], Iterable[Problem]]
    scope: Scope

    def finding(self, problem: Problem, subject: Subject, level: Level) -> Finding:
        """Return what this rule says of a problem at this level."""
        severity = self.strict if level is Level.STRICT else self.lenient
        path = problem.path or subject.skill_path or ""
        return Finding(self.code, severity, problem.message, path, problem.line, problem.hint, problem.column)

    def text(self) -> RuleText:
        """Return what people and programs are told of this rule."""
        what = inspect.getdoc(self.look) or self.title
        return RuleText(self.code, self.title, what, self.why, self.lenient, self.strict)


def rule(
    code: str,
    title: str,
    *,
    why: str,
    lenient: Severity = Severity.ERROR,
    strict: Severity = Severity.ERROR,
    scope: Scope = Scope.TREE,
) -> Callable[[Callable[[Subject], Iterable[Problem]]], Rule]:
    """Make a rule of the function below it."""

    def make(look: Callable[[Subject], Iterable[Problem]]) -> Rule:
        return Rule(code, title, lenient, strict, why, look, scope)

    return make


def document_problems(errors: Iterable[DocumentError]) -> Iterator[Problem]:
    """Turn the errors of a document into problems at their path and line."""
    for error in errors:
        yield Problem(error.rule, error.line, error.path, error.hint)

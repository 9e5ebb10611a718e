"""What a layout rule is: a record with a code, a severity at each level, a reason, and one function that looks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partialmethod
from typing import TYPE_CHECKING

from skillpm.errors import DocumentError
from skillpm.model.finding import Finding, Problem, RuleText, Severity

if TYPE_CHECKING:
    from skillpm.layout.subject import Subject


Look = Callable[["Subject"], Iterable[Problem]]


class Level(StrEnum):
    """How a skill is judged: will skillpm install it, does it follow the specification, or may it be published?"""

    LENIENT = "lenient"
    STRICT = "strict"
    PUBLISH = "publish"  # as lenient, with the rules for what must not be published


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
        why: what goes wrong for whom.
        scope: what must be readable before ``look`` is called.
        what: it looks at, for people; by default the docstring of ``look``.
    """

    code: str
    title: str
    lenient: Severity
    strict: Severity
    why: str
    look: Look
    scope: Scope
    what: str = ""

    def finding(self, problem: Problem, subject: Subject, level: Level) -> Finding:
        """Return what this rule says of a problem at this level."""
        return Finding(
            code=self.code,
            severity=self.strict if level is Level.STRICT else self.lenient,
            path=problem.path or subject.skill_path or "",
            line=problem.line,
            column=problem.column,
            message=problem.message,
            hint=problem.hint,
        )

    def text(self) -> RuleText:
        """Return the description of this rule."""
        what = self.what or inspect.getdoc(self.look) or self.title
        return RuleText(self.code, self.title, what, self.why, self.lenient, self.strict)


def rule(
    code: str,
    title: str,
    *,
    why: str,
    lenient: Severity = Severity.ERROR,
    strict: Severity = Severity.ERROR,
    scope: Scope = Scope.TREE,
) -> Callable[[Look], Rule]:
    """Make a rule of the function below it."""
    return lambda look: Rule(code, title, lenient, strict, why, look, scope)


class RuleSet:
    """The rules of one module, in their order; ``scope`` is what they need, unless they name another."""

    def __init__(self, scope: Scope = Scope.TREE) -> None:
        self._scope = scope
        self._rules: list[Rule] = []

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def add(self, rule: Rule) -> Rule:
        """Add a rule to this set."""
        self._rules.append(rule)
        return rule

    def _adding(
        self, lenient: Severity, strict: Severity, code: str, title: str, *, why: str, scope: Scope | None = None
    ) -> Callable[[Look], Rule]:
        """Return the decorator that adds the function below it as a rule of these severities."""
        make = rule(code, title, why=why, lenient=lenient, strict=strict, scope=scope or self._scope)
        return lambda look: self.add(make(look))

    # of the specification: neither clients nor installs accept a breach
    error = partialmethod(_adding, Severity.ERROR, Severity.ERROR)
    # of ours: a breach refuses a skill, and the specification does not mention it
    install_error = partialmethod(_adding, Severity.ERROR, Severity.WARNING)
    # of the specification: clients and installs accept a breach
    strict_error = partialmethod(_adding, Severity.WARNING, Severity.ERROR)
    warning = partialmethod(_adding, Severity.WARNING, Severity.WARNING)


def document_problems(errors: Iterable[DocumentError]) -> Iterator[Problem]:
    """Turn the errors of a document into problems at their path and line."""
    for error in errors:
        yield Problem(error.rule, error.line, error.path, error.hint)

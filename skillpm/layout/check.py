"""The check: every rule over one tree, all findings at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from skillpm.layout.rule import Level, Rule, Scope
from skillpm.layout.rules import adapter, body, content, documents, fields, files, name, source, syntax, told
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree
from skillpm.model.finding import Finding, Problem, Report, Severity

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            rule
            for part in (source, syntax, fields, name, body, files, documents, adapter, content, told)
            for rule in part.RULES
        ),
        key=lambda rule: rule.code,
    )
)


_OURS = frozenset(rule.code for rule in RULES)


def check(tree: Tree, *, path: str, folder: str | None, level: Level = Level.LENIENT) -> Report:
    """Look at a tree with all layout rules; any bytes give a report, never an exception.

    ``path`` is the tree's name in the report, and ``folder`` the name that the skill's name must equal; None where
    there is no folder.
    """
    return examine(Subject(tree, folder), RULES, path=path, level=level)


def examine(subject: Subject, rules: Iterable[Rule], *, path: str, level: Level) -> Report:
    """Look at a subject with some rules; errors come before warnings, then by path and line."""
    scopes = {Scope.TREE}
    if subject.text is not None:
        scopes.add(Scope.TEXT)
    if subject.fields is not None:
        scopes.add(Scope.FRONTMATTER)
    seen = [(rule, problem) for rule in rules if rule.scope in scopes for problem in rule.look(subject)]
    against = {rule.code for rule, _ in seen if rule.strict is Severity.ERROR}
    if against and subject.reference not in (None, subject) and syntax.first_breach(subject.reference) is None:
        against -= _OURS  # the reference validator reads the text in another way, and finds nothing
    findings = [_finding(rule, problem, subject, level, against) for rule, problem in seen]
    findings.sort(key=lambda f: (f.severity is not Severity.ERROR, f.path, f.line or 0, f.column or 0, f.code))
    named = subject.field("name")
    refused = {rule.code for rule, _ in seen if rule.lenient is Severity.ERROR} & _OURS
    name = named.strip() or None if isinstance(named, str) else None
    return Report(path, name, tuple(findings), frozenset(refused), frozenset(against))


def _finding(rule: Rule, problem: Problem, subject: Subject, level: Level, against: set[str]) -> Finding:
    finding = rule.finding(problem, subject, level)
    excused = level is Level.STRICT and finding.severity is Severity.ERROR and rule.code not in against
    return replace(finding, severity=Severity.WARNING) if excused else finding

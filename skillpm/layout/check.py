"""The check: every rule over one tree, all findings at once."""

from __future__ import annotations

from collections.abc import Iterable

from skillpm.layout.rule import Level, Rule, Scope
from skillpm.layout.rules import body, content, documents, fields, files, name, source, syntax
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree
from skillpm.model.finding import Report, Severity

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (rule for part in (source, syntax, fields, name, body, files, documents, content) for rule in part.RULES),
        key=lambda rule: rule.code,
    )
)


def check(tree: Tree, *, path: str, folder: str | None, level: Level = Level.LENIENT) -> Report:
    """Look at a tree with all layout rules; any bytes give a report, never an exception.

    Args:
        tree: the files.
        path: how the report names the tree.
        folder: the name that the skill's name must equal; None where there is no folder.
        level: how severe a broken rule is.
    """
    return examine(Subject(tree, folder), RULES, path=path, level=level)


def examine(subject: Subject, rules: Iterable[Rule], *, path: str, level: Level) -> Report:
    """Look at a subject with some rules; errors come before warnings, then by path and line."""
    scopes = {Scope.TREE}
    if subject.text is not None:
        scopes.add(Scope.TEXT)
    if subject.fields is not None:
        scopes.add(Scope.FRONTMATTER)
    findings = [
        rule.finding(problem, subject, level)
        for rule in rules
        if rule.scope in scopes
        for problem in rule.look(subject)
    ]
    findings.sort(key=lambda f: (f.severity is not Severity.ERROR, f.path, f.line or 0, f.column or 0, f.code))
    named = subject.field("name")
    return Report(path, named.strip() or None if isinstance(named, str) else None, tuple(findings))

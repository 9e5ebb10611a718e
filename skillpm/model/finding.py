"""Findings of a check, and the report of all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar

from skillpm.formats.as_json import as_json


class Severity(StrEnum):
    """How bad: an error refuses the skill, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule saw; ``path`` is relative to the skill, and SKILL.md's where empty."""

    message: str
    line: int | None = None
    path: str = ""
    hint: str | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem. ``path`` is relative to the skill; ``line`` and ``column`` are 1-based, in characters, or None."""

    code: str
    severity: Severity
    path: str = ""
    line: int | None = None
    column: int | None = None
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class RuleText:
    """The description of a rule, for people and programs.

    Attributes:
        code: ``SK`` and three digits; never used again for another rule.
        title: what is wrong, in a few words.
        what: what it looks at.
        why: what goes wrong for whom.
    """

    code: str
    title: str
    what: str
    why: str
    lenient: Severity
    strict: Severity

    json_keys: ClassVar = ("code", "title", "lenient", "strict", "why")


@dataclass(frozen=True, slots=True)
class Report:
    """All findings on one tree.

    Attributes:
        path: how the report names the tree.
        findings: errors before warnings.
        against_install: the codes of the rules for which an install refuses the skill.
        against_specification: the codes of the rules of the specification that it breaks.
    """

    path: str
    name: str | None
    findings: tuple[Finding, ...]
    against_install: frozenset[str] = frozenset()
    against_specification: frozenset[str] = frozenset()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the skill."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    @property
    def ok(self) -> bool:
        """Is there no error?"""
        return not self.errors

    def letting(self, codes: frozenset[str]) -> Report:
        """Return this report with the findings of these codes as warnings: told still, and no longer refusing."""
        if not codes:
            return self
        findings = (replace(f, severity=Severity.WARNING) if f.code in codes else f for f in self.findings)
        ordered = tuple(sorted(findings, key=lambda f: f.severity is not Severity.ERROR))
        return replace(self, findings=ordered, against_install=self.against_install - codes)

    def refusing(self, codes: frozenset[str]) -> Report:
        """Return this report with the findings of these codes as errors."""
        refused = frozenset(finding.code for finding in self.findings) & codes
        if not refused:
            return self
        findings = (replace(f, severity=Severity.ERROR) if f.code in refused else f for f in self.findings)
        ordered = tuple(sorted(findings, key=lambda f: f.severity is not Severity.ERROR))
        return replace(self, findings=ordered, against_install=self.against_install | refused)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints this report."""
        return {
            "path": self.path,
            "name": self.name,
            "ok": self.ok,
            "installs": not self.against_install,
            "specification": not self.against_specification,
            "findings": as_json(self.findings),
        }

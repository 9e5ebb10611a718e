"""Refuses a skill that has errors, with all of them, and with what lets it in where a person may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skillpm.errors import LayoutError

if TYPE_CHECKING:
    from skillpm.model.finding import Report

__all__ = ["refuse_broken"]


def refuse_broken(report: Report, name: str, *, final: bool = False) -> None:
    """Raise LayoutError where a report has errors; ``details["findings"]`` holds them all.

    Args:
        report: what was found.
        name: the skill, as a person knows it.
        final: can nobody let it in, since no archive holds it?
    """
    if report.ok:
        return
    first, more = report.errors[0], len(report.errors) - 1
    place = ":".join(str(part) for part in (first.path, first.line) if part)
    raise LayoutError(
        f"{name} cannot be installed: {place}{': ' if place else ''}{first.message} [{first.code}]"
        + (f", and {more} more error{'s' if more > 1 else ''}" if more else ""),
        hint=_hint(report, name, final=final),
        findings=[finding.document() for finding in report.findings],
    )


def _hint(report: Report, name: str, *, final: bool) -> str:
    from skillpm.layout.scan import ALLOWABLE

    codes = sorted({finding.code for finding in report.errors})
    if set(codes) <= ALLOWABLE and not final:
        flags = " ".join(f"--allow {name.split()[0]}:{code}" for code in codes)
        return f"look at what was found; where it is meant, install with {flags}"
    return report.errors[0].hint or "`skillpm validate` lists everything that is wrong"

"""Printing of reports: a line and a hint for each finding, JSON, or SARIF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.options import combined
from skillpm.cli.output import count, echo_json, note, safe, table
from skillpm.errors import UsageError
from skillpm.formats.as_json import as_json

if TYPE_CHECKING:
    from skillpm.model.finding import Report, RuleText


def _one_form(ctx: click.Context, parameter: click.Parameter, typed: bool) -> None:
    form = ctx.params.setdefault("form", None)
    if typed and form:
        raise UsageError("`--json` and `--sarif` exclude each other", hint="remove one of them: SARIF is JSON too")
    ctx.params["form"] = parameter.name if typed else form


# the command gets ``form``, which is ``json``, ``sarif`` or None
format_options = combined(
    click.option("--json", is_flag=True, expose_value=False, help="Print one JSON document.", callback=_one_form),
    click.option("--sarif", is_flag=True, expose_value=False, help="Print SARIF 2.1.0.", callback=_one_form),
)


def show(
    reports: Sequence[Report],
    rules: Sequence[RuleText],
    form: str | None,
    verb: str,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print reports.

    ``form`` is ``json``, ``sarif``, or None for people; ``verb`` a past participle such as ``checked``.
    """
    if form == "sarif":
        from skillpm.cli.sarif import sarif

        echo_json(sarif(reports, rules))
    elif form == "json":
        ok = all(report.ok for report in reports)
        echo_json({**(more or {}), "ok": ok, "reports": reports})
    else:
        for report in reports:
            for finding in report.findings:
                echo_finding(report.path, as_json(finding))
        errors, warnings = sum(len(one.errors) for one in reports), sum(len(one.warnings) for one in reports)
        note(f"{count(len(reports), 'skill')} {verb}: {count(errors, 'error')}, {count(warnings, 'warning')}")


def print_rules(rules: Sequence[RuleText], form: str | None) -> None:
    """Print the rules."""
    if form:
        echo_json(rules)
        return
    rows = [(rule.code, rule.lenient, rule.strict, f"{rule.title}. {rule.why}") for rule in rules]
    table(("code", "lenient", "strict", "rule"), rows)


def echo_finding(root: object, finding: Mapping[str, Any], *, err: bool = False) -> None:
    """Print one finding, as ``--json`` has it, of the skill in ``root``."""
    place = PurePath(str(root), finding["path"] or "")
    line = f":{finding['line']}" if finding["line"] else ""
    column = f":{finding['column']}" if finding["line"] and finding["column"] else ""
    colour = "red" if finding["severity"] == "error" else "yellow"
    mark = click.style(f"{finding['severity']} {finding['code']}", fg=colour)
    click.echo(f"{safe(place)}{line}{column}: {mark}: {safe(finding['message'])}", err=err)
    if finding["hint"]:
        click.echo(f"    hint: {safe(finding['hint'])}", err=err)

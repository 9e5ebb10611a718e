"""Printing of reports: a line and a hint for each finding, JSON, or SARIF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set, keep
from skillpm.cli.options import combined
from skillpm.cli.output import count, echo_json, note, print_json, safe, table
from skillpm.errors import UsageError
from skillpm.formats.as_json import as_json
from skillpm.settings.distribution import as_installed

if TYPE_CHECKING:
    from skillpm.model.finding import Report, RuleText


def _one_form(ctx: click.Context, parameter: click.Parameter, typed: bool) -> None:
    keep(ctx, parameter, typed)
    if is_set("json") and is_set("sarif"):
        raise UsageError("`--json` and `--sarif` exclude each other", hint="remove one of them: SARIF is JSON too")


format_options = combined(
    click.option("--json", is_flag=True, expose_value=False, help="Print one JSON document.", callback=_one_form),
    click.option("--sarif", is_flag=True, expose_value=False, help="Print SARIF 2.1.0.", callback=_one_form),
)


def print_form(value: Any, reports: Sequence[Report], rules: Sequence[RuleText]) -> bool:
    """Print a result as JSON, or reports as SARIF, if an option asks for it, and return whether one does."""
    if is_set("sarif"):
        from skillpm.cli.sarif import sarif

        echo_json(sarif(reports, rules))
    return print_json(value) or is_set("sarif")


def show(reports: Sequence[Report], rules: Sequence[RuleText], verb: str, **more: Any) -> bool:
    """Print reports; ``verb`` is a past participle such as ``checked``. Return whether people read them."""
    ok = all(report.ok for report in reports)
    if print_form({**more, "ok": ok, "reports": reports}, reports, rules):
        return False
    for report in reports:
        for finding in report.findings:
            echo_finding(report.path, as_json(finding))
    errors, warnings = sum(len(one.errors) for one in reports), sum(len(one.warnings) for one in reports)
    note(f"{count(len(reports), 'skill')} {verb}: {count(errors, 'error')}, {count(warnings, 'warning')}")
    return True


def print_rules(rules: Sequence[RuleText]) -> None:
    """Print the rules."""
    if is_set("json") or is_set("sarif"):
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
        click.echo(f"    hint: {safe(as_installed(finding['hint']))}", err=err)

"""``skillpm validate``: check the layout and the documents of skills."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.findings import echo_finding
from skillpm.cli.output import echo_json, json_option, note, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skillpm.model.finding import Report

__all__ = ["command"]


@click.command("validate")
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--level",
    type=click.Choice(["lenient", "strict"]),
    default="lenient",
    show_default=True,
    help="lenient: what clients can load, with warnings; strict: the Agent Skills specification to the letter.",
)
@click.option("--rules", "show_rules", is_flag=True, help="List the rules instead of checking.")
@json_option
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], level: str, show_rules: bool, as_json: bool) -> None:
    """Check skills: a skill's folder, its SKILL.md, or a folder of skills.

    Exits 1 where any error is found. Runs no code of a skill.
    """
    from skillpm.ops.extensions import extra_rules
    from skillpm.ops.validate import Level, validate
    from skillpm.settings import load_settings

    if show_rules:
        _print_rules(as_json)
        return
    if not paths:
        raise click.UsageError("name at least one PATH, such as `skillpm validate .`", ctx)
    reports = validate(paths, level=Level(level), extra=extra_rules(load_settings()))
    if as_json:
        ok = all(report.ok for report in reports)
        echo_json({"level": level, "ok": ok, "reports": [report.document() for report in reports]})
    else:
        _print_reports(reports)
    ctx.exit(0 if all(report.ok for report in reports) else 1)


def _print_rules(as_json: bool) -> None:
    from skillpm.ops.validate import RULES

    if as_json:
        echo_json([rule.document() for rule in RULES])
    else:
        table(
            ("code", "lenient", "strict", "rule"),
            [(rule.code, rule.lenient, rule.strict, f"{rule.title}. {rule.why}") for rule in RULES],
        )


def _print_reports(reports: Sequence[Report]) -> None:
    for report in reports:
        for finding in report.findings:
            echo_finding(report.path, finding.document())
    errors, warnings = sum(len(report.errors) for report in reports), sum(len(report.warnings) for report in reports)
    note(f"{_count(len(reports), 'skill')} checked: {_count(errors, 'error')}, {_count(warnings, 'warning')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

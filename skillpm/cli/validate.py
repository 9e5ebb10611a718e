"""``skillpm validate``: check the layout and the documents of skills."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.findings import allow_option, format_options, print_rules, show

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
@allow_option
@format_options
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    level: str,
    show_rules: bool,
    allowed: tuple[str, ...],
    form: str | None,
) -> None:
    """Check skills: a skill's folder, its SKILL.md, or a folder of skills.

    Exits 1 where any error is found. Runs no code of a skill.
    """
    from skillpm.ops.allowance import Allowance
    from skillpm.ops.extensions import extra_rules
    from skillpm.ops.validate import RULES, Level, validate
    from skillpm.settings import load_settings

    if show_rules:
        print_rules(RULES, form)
        return
    if not paths:
        raise click.UsageError("name at least one PATH, such as `skillpm validate .`", ctx)
    allow, extra = Allowance.of(allowed), extra_rules(load_settings())
    reports = [
        report.letting(allow.codes(report.name or "")) for report in validate(paths, level=Level(level), extra=extra)
    ]
    show(reports, (*RULES, *extra), form, "checked", {"level": level})
    ctx.exit(0 if all(report.ok for report in reports) else 1)

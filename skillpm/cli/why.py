"""``skillpm why``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, note, safe

if TYPE_CHECKING:
    from skillpm.ops.project.graph import Edge, Reasons

_SHOWN = 20  # paths, unless --limit says otherwise


@click.command("why", epilog="Example: skillpm why shell-tools")
@click.argument("name", shell_complete=installed_names)
@click.option("--limit", type=click.IntRange(0), default=_SHOWN, show_default=True, help="Paths to show; 0 shows all.")
@click.option("--user", is_flag=True, help="Ask about your home folder.")
@json_option
def command(name: str, limit: int, user: bool, as_json: bool) -> None:
    """Say why a skill is installed: every path from a requirement to it, shortest first."""
    from skillpm.ops.project.graph import why

    reasons = why(command_context(user=user), name, limit=limit)
    if as_json:
        echo_json(reasons)
    else:
        _print(reasons, limit)


def _print(reasons: Reasons, limit: int) -> None:
    for path in reasons.paths:
        click.echo(safe(" -> ".join(["this project", *(_text(step) for step in path)])))
    if not reasons.paths:
        note(f"nothing requires {reasons.name} {reasons.version}; the next install or uninstall takes it away")
    elif not reasons.complete:
        more = (
            "`--limit 0` shows all" if limit and len(reasons.paths) >= limit else "there are too many to find them all"
        )
        note(f"the {len(reasons.paths)} shortest paths; there are more: {more}")


def _text(step: Edge) -> str:
    version = f" {step.version}" if step.version else ""
    return f"{step.name}{version} ({step.specifier or 'any version'})"

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

    found = why(command_context(user=user), name, limit=limit)
    if as_json:
        echo_json(found)
    else:
        _print(found, limit)


def _print(found: Reasons, limit: int) -> None:
    for path in found.paths:
        click.echo(safe(" -> ".join(["this project", *(_text(step) for step in path)])))
    if not found.paths:
        note(f"nothing requires {found.name} {found.version}; the next install or uninstall takes it away")
    elif not found.complete:
        more = "`--limit 0` shows all" if limit and len(found.paths) >= limit else "there are too many to find them all"
        note(f"the {len(found.paths)} shortest paths; there are more: {more}")


def _text(step: Edge) -> str:
    version = f" {step.version}" if step.version else ""
    return f"{step.name}{version} ({step.specifier or 'any version'})"

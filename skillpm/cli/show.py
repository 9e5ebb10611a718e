"""``skillpm show``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.options import registry_options
from skillpm.cli.output import cell, json_option, print_json, shown, size, table

if TYPE_CHECKING:
    from skillpm.ops.machine.show import Overview


@click.command("show", epilog="Example: skillpm show incident-triage")
@click.argument("text", metavar="NAME|PATH", shell_complete=known_names)
@registry_options()
@json_option
def command(text: str) -> None:
    """Show a skill of a registry, a folder or an archive, and its contents. None of its code runs."""
    from skillpm.ops.machine.show import show

    overview = show(command_context(), text)
    if not print_json(overview):
        table(("", overview.name), _rows(overview))


def _rows(overview: Overview) -> list[tuple[str, str]]:
    suites = ", ".join(f"{name} ({count} tasks)" for name, count in overview.suites.items())
    tools = ", ".join(f"{name} (confirm: {confirm})" for name, confirm in overview.tools.items())
    cells = {
        "version": shown(overview.version),
        "requires": ", ".join(f"{name}{specifier}" for name, specifier in overview.requires.items()),
        "files": f"{len(overview.files)}, {size(overview.size)}",
        "tools": tools,
        "suites": suites,
        "code": overview.code or "none",
        "releases": tuple(map(shown, overview.releases)),
    }
    names = [field.name for field in fields(overview) if field.name not in ("name", "size")]
    labels = {"publisher": "published by"}
    return [(labels.get(name, name), cell(cells.get(name, getattr(overview, name)))) for name in names]

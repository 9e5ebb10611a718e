"""``skillpm show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.options import registry_options
from skillpm.cli.output import json_option, print_json, shown, size, table

if TYPE_CHECKING:
    from skillpm.ops.machine.show import Overview


@click.command("show", epilog="Example: skillpm show incident-triage")
@click.argument("text", metavar="NAME|PATH", shell_complete=known_names)
@registry_options()
@json_option
def command(text: str) -> None:
    """Show a skill and its contents. None of its code runs."""
    from skillpm.ops.machine.show import show

    overview = show(command_context(), text)
    if not print_json(overview):
        table(("", overview.name), _rows(overview))


def _rows(overview: Overview) -> list[tuple[str, str]]:
    suites = ", ".join(f"{name} ({count} tasks)" for name, count in overview.suites.items())
    tools = ", ".join(f"{name} (confirm: {confirm})" for name, confirm in overview.tools.items())
    return [
        ("version", shown(overview.version)),
        ("description", overview.description),
        ("source", overview.source),
        ("installed", "yes" if overview.installed else "no"),
        ("tree", overview.tree),
        ("archive", overview.archive or "-"),
        ("signer", overview.signer or "-"),
        ("published by", overview.publisher or "-"),
        ("requires", ", ".join(f"{name}{specifier}" for name, specifier in overview.requires.items()) or "-"),
        ("python", ", ".join(overview.python) or "-"),
        ("files", f"{len(overview.files)}, {size(overview.size)}"),
        ("tools", tools or "-"),
        ("seeds", str(overview.seeds)),
        ("rules", str(overview.rules)),
        ("suites", suites or "-"),
        ("cases", str(overview.cases)),
        ("code", ", ".join(overview.code) or "none"),
        ("network", "yes" if overview.network else "no"),
        ("programs", ", ".join(overview.programs) or "-"),
        ("releases", ", ".join(map(shown, overview.releases)) or "-"),
        ("keywords", ", ".join(overview.keywords) or "-"),
        ("authors", ", ".join(overview.authors) or "-"),
        ("homepage", overview.homepage or "-"),
        ("repository", overview.repository or "-"),
    ]

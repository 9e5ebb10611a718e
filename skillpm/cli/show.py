"""``skillpm show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, size, table

if TYPE_CHECKING:
    from skillpm.ops.machine.show import Overview


@click.command("show", epilog="Example: skillpm show incident-triage")
@click.argument("text", metavar="NAME|PATH", shell_complete=known_names)
@click.option("--registry", "indexes", metavar="PLACE", multiple=True, help="Ask this registry; may be repeated.")
@json_option
def command(text: str, indexes: tuple[str, ...], as_json: bool) -> None:
    """Show what a skill is and what it contributes. None of its code runs."""
    from skillpm.ops.machine.show import show

    context = command_context(indexes=indexes)
    found = show(context, text)
    if as_json:
        echo_json(found)
    else:
        table(("", found.name), _rows(found))


def _rows(found: Overview) -> list[tuple[str, str]]:
    suites = ", ".join(f"{name} ({count} tasks)" for name, count in found.suites.items())
    tools = ", ".join(f"{name} (confirm: {confirm})" for name, confirm in found.tools.items())
    return [
        ("version", found.version),
        ("description", found.description),
        ("source", found.source),
        ("installed", "yes" if found.installed else "no"),
        ("tree", found.tree),
        ("archive", found.archive or "-"),
        ("requires", ", ".join(f"{name}{specifier}" for name, specifier in found.requires.items()) or "-"),
        ("python", ", ".join(found.python) or "-"),
        ("files", f"{len(found.files)}, {size(found.size)}"),
        ("tools", tools or "-"),
        ("seeds", str(found.seeds)),
        ("rules", str(found.rules)),
        ("suites", suites or "-"),
        ("cases", str(found.cases)),
        ("code", ", ".join(found.code) or "none"),
        ("releases", ", ".join(found.releases) or "-"),
        ("keywords", ", ".join(found.keywords) or "-"),
        ("authors", ", ".join(found.authors) or "-"),
        ("homepage", found.homepage or "-"),
        ("repository", found.repository or "-"),
    ]

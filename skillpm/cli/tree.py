"""``skillpm tree`` and ``skillpm why``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.context import command_context, note_nothing_installed
from skillpm.cli.options import number_option, user_option
from skillpm.cli.output import json_option, note, print_json, safe, versioned

if TYPE_CHECKING:
    from skillpm.ops.project.graph import Reasons
    from skillpm.resolve.outline import Row

_PATHS = 20  # paths without --limit
# (a row with more rows below it, the last row, a line past an open branch, a gap past a closed one)
_UNICODE = ("├── ", "└── ", "│   ", "    ")
_ASCII = ("|-- ", "`-- ", "|   ", "    ")


@click.command("tree", epilog="Example: skillpm tree --invert shell-tools")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--invert", "-i", is_flag=True, help="Show the skills that require a skill.")
@user_option("Show the tree of your home folder.")
@json_option
def command(names: tuple[str, ...], invert: bool) -> None:
    """Show the dependency tree in skillpm.lock. A cycle is marked, not followed."""
    from skillpm.ops.project.graph import dependency_tree

    context = command_context()
    tree = dependency_tree(context, names, invert=invert)
    if print_json(tree):
        return
    if not tree.rows:
        note_nothing_installed(context)
    for line in _lines(tree.rows, inverted=invert):
        click.echo(line)


def _lines(rows: Iterable[Row], *, inverted: bool) -> Iterator[str]:
    more, end, past, gap = _strokes()
    closed: list[bool] = []
    for row in rows:
        del closed[row.depth :]
        closed.append(row.last)
        inner = "".join(gap if last else past for last in closed[1:-1])
        stroke = (end if row.last else more) if row.depth else ""
        yield inner + stroke + _label(row, inverted=inverted)


def _label(row: Row, *, inverted: bool) -> str:
    name = "this project" if row.name is None else row.name
    wanted = row.specifier or ("any version" if row.name is None else "")
    if wanted and inverted and row.depth:
        wanted = f"requires {wanted}"
    details = [f"({text})" for text in (wanted, row.mark) if text]
    return safe(" ".join([versioned(name, row.version), *details]))


def _strokes() -> tuple[str, str, str, str]:
    """Return the line characters that stdout can encode."""
    try:
        "".join(_UNICODE).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _UNICODE


@click.command("why", epilog="Example: skillpm why shell-tools")
@click.argument("name", shell_complete=installed_names)
@number_option("--limit", click.IntRange(0), _PATHS, "Paths to show; 0 shows all.")
@user_option("Show the paths in your home folder.")
@json_option
def why(name: str, limit: int) -> None:
    """Show why a skill is installed: every path from a requirement to it, shortest first."""
    from skillpm.ops.project import graph

    reasons = graph.why(command_context(), name, limit=limit)
    if not print_json(reasons):
        _print_reasons(reasons, limit)


def _print_reasons(reasons: Reasons, limit: int) -> None:
    for path in reasons.paths:
        steps = (f"{versioned(step.name, step.version)} ({step.specifier or 'any version'})" for step in path)
        click.echo(safe(" -> ".join(["this project", *steps])))
    if not reasons.paths:
        note(f"nothing requires {versioned(reasons.name, reasons.version)}; the next install or uninstall removes it")
    elif not reasons.complete:
        more = (
            "`--limit 0` shows all" if limit and len(reasons.paths) >= limit else "there are too many to list them all"
        )
        note(f"the {len(reasons.paths)} shortest paths; there are more: {more}")

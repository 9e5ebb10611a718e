"""``skillpm tree``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.context import command_context
from skillpm.cli.output import NOTHING_INSTALLED, echo_json, json_option, note, safe

if TYPE_CHECKING:
    from skillpm.resolve.outline import Row

# (a row below which more follow, the last row, what runs past an open branch, what runs past a closed one)
_UNICODE = ("├── ", "└── ", "│   ", "    ")
_ASCII = ("|-- ", "`-- ", "|   ", "    ")


@click.command("tree", epilog="Example: skillpm tree --invert shell-tools")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--invert", "-i", is_flag=True, help="Show who requires a skill instead of what it requires.")
@click.option("--user", is_flag=True, help="Show your home folder's.")
@json_option
def command(names: tuple[str, ...], invert: bool, user: bool, as_json: bool) -> None:
    """Show what requires what, as skillpm.lock has it. A cycle is named, not followed."""
    from skillpm.ops.project.graph import dependency_tree

    tree = dependency_tree(command_context(user=user), names, invert=invert)
    if as_json:
        echo_json(tree)
        return
    if not tree.rows:
        note(NOTHING_INSTALLED)
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
    details = [f"({text})" for text in (wanted, str(row.mark)) if text]
    return safe(" ".join([name, *([row.version] if row.version else []), *details]))


def _strokes() -> tuple[str, str, str, str]:
    """Return lines that the output can show."""
    try:
        "".join(_UNICODE).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _UNICODE

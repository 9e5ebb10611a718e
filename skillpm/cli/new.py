"""``skillpm new``."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.output import echo_json, json_option, note
from skillpm.cli.paths import TypedPath


@click.command("new", epilog="Example: skillpm new log-reader")
@click.argument("name")
@click.option(
    "--directory",
    type=TypedPath(file_okay=False),
    default=Path(),
    help="The parent of the new folder.  [default: the working directory]",
)
@click.option(
    "--kind",
    type=click.Choice(["cli", "api", "sql", "text"]),
    default="cli",
    show_default=True,
    help="What it answers with: command lines, calls of an API, queries, or what it reads out of a text.",
)
@click.option("--minimal", is_flag=True, help="Write only SKILL.md: a skill without training data.")
@json_option
def command(name: str, directory: Path, kind: str, minimal: bool, as_json: bool) -> None:
    """Make a new skill called NAME: small, valid and working, with comments that say what to change."""
    from skillpm.layout.skeleton import Kind
    from skillpm.ops.authoring.new import create_skill

    folder = create_skill(name, directory, Kind(kind), minimal=minimal)
    if as_json:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        echo_json({"name": name, "path": str(folder), "files": files})
        return
    click.echo(folder)
    note(f"next: edit {folder / 'SKILL.md'}, then run `skillpm validate {folder} --level publish`")

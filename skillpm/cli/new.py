"""``skillpm new``."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.output import echo_json, json_option, note, safe
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError


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
    help="What it answers with: command lines, calls of an API, queries, or facts out of a text.  [default: cli]",
)
@click.option("--minimal", is_flag=True, help="Write only SKILL.md: a skill without training data.")
@click.option(
    "--from-cli", "program", metavar="PROGRAM", help="Write it for a program that is installed here, from its help."
)
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="SUB",
    help="With --from-cli, a subcommand that it is for, such as `remote add`. Repeatable.  [default: the first 8]",
)
@json_option
def command(
    name: str,
    directory: Path,
    kind: str | None,
    minimal: bool,
    program: str | None,
    commands: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a new skill called NAME: small, valid and working.

    Without --from-cli it is an example with comments that say what to change. With it, it answers requests about a
    program: its contract, its rules and its text come from the program's parser or help. Nothing of the program runs
    but its help, in the sandbox.
    """
    from skillpm.layout.skeleton import Kind
    from skillpm.ops.authoring.new import create_from_program, create_skill

    if program is None and commands:
        raise UsageError("`--command` needs `--from-cli`", hint="add `--from-cli PROGRAM`")
    if program is not None and (kind or minimal):
        raise UsageError("`--from-cli` goes without `--kind` and `--minimal`", hint="remove the other option")
    if program is not None:
        words = tuple(tuple(item.split()) for item in commands)
        folder = create_from_program(name, directory, program, words, warn=lambda text: note(safe(f"note: {text}")))
    else:
        folder = create_skill(name, directory, Kind(kind or "cli"), minimal=minimal)
    if as_json:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        echo_json({"name": name, "path": str(folder), "files": files})
        return
    click.echo(folder)
    if program is not None:
        note(
            f"next: read what it teaches with `skillpm synth {folder} --show 10`, then run `skillpm selftest {folder}`"
        )
    else:
        note(f"next: edit {folder / 'SKILL.md'}, then run `skillpm validate {folder} --level publish`")

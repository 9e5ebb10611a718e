"""``skillpm new``."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.output import json_option, note, print_json
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.ops.authoring.new import Api

APIS: tuple[Api, ...] = ("tools", "mcp", "openapi")


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
    help="What it answers with: command lines, calls of an API, queries, or facts from a text.  [default: cli]",
)
@click.option("--minimal", is_flag=True, help="Write only SKILL.md: a skill without training data.")
@click.option(
    "--from-cli", "program", metavar="PROGRAM", help="Write it for a program that is installed here, from its help."
)
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="NAME",
    help="A subcommand that it is for, such as `remote add`, or a tool of an API; may be repeated.  [default: of a "
    "program the first 8, of an API all that fit]",
)
@click.option(
    "--from-tools",
    type=TypedPath(),
    metavar="FILE",
    help="Write it for a list of tools, as OpenAI or Anthropic write it.",
)
@click.option(
    "--from-mcp",
    metavar="FILE|COMMAND",
    help="Write it for an MCP server: a file with its `tools/list`, or the command that starts it, run in the sandbox.",
)
@click.option("--from-openapi", type=TypedPath(), metavar="FILE", help="Write it for an OpenAPI document, 2.0 to 3.1.")
@json_option
def command(name: str, directory: Path, kind: str | None, minimal: bool, program: str | None, **sources: Any) -> None:
    """Make a new skill called NAME: small, valid and working.

    By default it is an example with comments that say what to change. With --from-cli it answers requests about a
    program: contract, rules and text come from the program's parser or help, and nothing of it runs but its help, in
    the sandbox. With --from-tools, --from-mcp or --from-openapi it answers with calls of an API; a server that
    --from-mcp starts is asked for its tools alone.
    """
    from skillpm.layout.skeleton import Kind
    from skillpm.ops.authoring.new import create_from_api, create_from_program, create_skill

    def warn(text: str) -> None:
        note(f"note: {text}")

    apis = {form: path for form in APIS if (path := sources[f"from_{form}"]) is not None}
    _check(program, sources["commands"], len(apis), kind is not None or minimal)
    if program is not None:
        words = tuple(tuple(item.split()) for item in sources["commands"])
        folder = create_from_program(name, directory, program, words, warn=warn)
    elif apis:
        [(form, path)] = apis.items()
        source = _server_or_file(path) if form == "mcp" else path
        folder = create_from_api(name, directory, source, form, sources["commands"], warn=warn)
    else:
        folder = create_skill(name, directory, Kind(kind or "cli"), minimal=minimal)
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if print_json({"name": name, "path": folder, "files": written}):
        return
    click.echo(folder)
    shown = (
        folder if folder.is_absolute() or len(folder.parts) > 1 else f"./{folder}"
    )  # a bare name is an installed skill
    if program is not None or apis:
        note(f"next: read what it teaches with `skillpm synth {shown} --show 10`, then run `skillpm selftest {shown}`")
    else:
        note(f"next: edit {folder / 'SKILL.md'}, then run `skillpm validate {folder} --level publish`")


def _server_or_file(text: str) -> Path | tuple[str, ...]:
    """Return the words of a command, where no file has this name; else the file."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    is_file = os.path.exists(text)  # noqa: PTH110  a command may be too long for a Path
    is_command = not is_file and bool(words) and (len(words) > 1 or shutil.which(words[0]) is not None)
    return tuple(words) if is_command else Path(text)


def _check(program: str | None, commands: tuple[str, ...], apis: int, shaped: bool) -> None:
    """Refuse options that do not go together. Raises UsageError."""
    if program is None and commands and not apis:
        raise UsageError("`--command` needs a source", hint="add `--from-cli PROGRAM`")
    sources = apis + (program is not None)
    if sources > 1 or (sources and shaped):
        raise UsageError("a skill has one source", hint="keep one of `--from-…`, without `--kind` and `--minimal`")

"""``skillpm man``: manual pages of every command, from the same texts as ``--help``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from skillpm import __version__
from skillpm.cli.output import count, json_option, tell
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError


@click.command("man", epilog="Example: skillpm man build/man")
@click.argument("folder", type=TypedPath(file_okay=False), metavar="DIR")
@json_option
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Write the manual pages into DIR/man1, where `man` finds them with `MANPATH=DIR:`."""
    from skillpm.storage.files import write_atomic

    root = ctx.find_root()
    name = str(folder)
    if not folder.exists() and isinstance(root.command, click.Group) and name in root.command.list_commands(root):
        hint = f"for one command type `skillpm {name} --help`; for a folder of that name, `skillpm man ./{name}/man`"
        raise UsageError(f"`{name}` is a command, not a folder", hint=hint)
    pages = {f"man1/{name.replace(' ', '-')}.1": page(context) for name, context in _contexts(root)}
    for path, text in pages.items():
        write_atomic(folder / path, text)
    wrote = f"wrote {count(len(pages), 'page')} into {folder}/man1; read one with `MANPATH={folder}: man skillpm`"
    tell({"folder": folder, "pages": sorted(pages)}, wrote)


def _contexts(root: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Yield the name and the context of the program and of all commands below it."""
    context = click.Context(root.command, info_name="skillpm", color=False, **root.command.context_settings)
    pending = [context]
    while pending:
        context = pending.pop()
        yield context.command_path, context
        if isinstance(context.command, click.Group):
            for name in reversed(context.command.list_commands(context)):
                inner = context.command.get_command(context, name)
                if inner is not None:
                    pending.append(click.Context(inner, info_name=name, parent=context))


def page(context: click.Context) -> str:
    """Return the manual page of a command in the macros of man(7)."""
    command, name = context.command, context.command_path
    about = (command.get_short_help_str(200) or "").rstrip(".")
    lines = [
        f'.TH "{name.replace(" ", "-").upper()}" 1 "" "skillpm {__version__}"',
        ".SH NAME", f"{_roff(name.replace(' ', '-'))} \\- {_roff(about)}",
        ".SH SYNOPSIS", f".B {_roff(name)}", _roff(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION", *_paragraphs(command.help or ""),
    ]  # fmt: skip
    records = [parameter.get_help_record(context) for parameter in command.params]
    options = [(names, text) for names, text in filter(None, records) if text]
    if options:
        described = [(".TP", f".B {_roff(names)}", _roff(text)) for names, text in options]
        lines += [".SH OPTIONS", *(line for entry in described for line in entry)]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for inner in command.list_commands(context):
            child = command.get_command(context, inner)
            text = child.get_short_help_str(200) if child is not None else ""
            lines += [".TP", f".BR {_roff(f'{name} {inner}'.replace(' ', '-'))} (1)", _roff(text)]
    if command.epilog:
        lines += [".SH EXAMPLES", ".nf", _roff(command.epilog.removeprefix("Example: ")), ".fi"]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> list[str]:
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return [line for part in parts for line in (".PP", _roff(part))]


def _roff(text: str) -> str:
    """Return a text for roff: no backslash, dash or leading point of it is a command; what backquotes hold is bold."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    plain = re.sub("`([^`]*)`", r"\\fB\1\\fR", plain)
    plain = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in plain)
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain

"""From an answer to the argv that an executor runs, one list for each command. No shell is ever involved."""

from __future__ import annotations

from typing import Any

from skillpm.contract.command import CommandError, split_command_line
from skillpm.model.contract import ArgvPart, CommandLine, Tool

Argv = tuple[tuple[str, ...], ...]


def build_argv(tool: Tool, arguments: dict[str, Any]) -> Argv:
    """Build the commands.

    Args:
        tool: its ``argv`` is not None.
        arguments: valid against the tool's schema.

    Raises:
        CommandError: a value that would be read as an option, or a command line that is not allowed.
    """
    if isinstance(tool.argv, CommandLine):
        line = arguments[tool.argv.command_line]
        return split_command_line(tool.argv, line) if line is not None else ()
    words: list[str] = []
    for part in tool.argv or ():
        words.extend([part] if isinstance(part, str) else _part_words(part, arguments))
    return (tuple(words),)


def _part_words(part: ArgvPart, arguments: dict[str, Any]) -> list[str]:
    if part.condition is not None and not arguments[part.condition]:
        return []
    flag = [] if part.flag is None else [part.flag]
    if part.value is None:
        return flag
    value = arguments[part.value]
    return [] if value is None else [*flag, _word(part.value, value)]


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CommandError(f"`{name}` cannot be put on a command line")
    text = str(value)
    if isinstance(value, str) and (text.startswith("-") or not text or not text.isprintable()):
        raise CommandError(f"`{name}` may not be empty, start with `-` or hold control characters")
    return text

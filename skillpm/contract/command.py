"""Command lines without a shell: programs of an allow-list joined by ``&&``, nothing else that a shell would read."""

from __future__ import annotations

import re
import shlex

from skillpm.model.contract import CommandLine, Program

MAX_COMMANDS = 16
_SHELL = re.compile(r"[^A-Za-z0-9 \"'&_./:@%+,=-]")  # everything else means something to a shell, or to nobody
_TOKEN = re.compile(r"[^&\"']*\Z")


class CommandError(ValueError):
    """A command line that no executor would run; the text is the reason."""


def split_command_line(rules: CommandLine, text: str) -> tuple[tuple[str, ...], ...]:
    """Split a command line into one argv for each command.

    Raises:
        CommandError: a character, an operator, a program or an option that is not allowed.
    """
    forbidden = _SHELL.search(text)
    if forbidden:
        raise CommandError(f"{forbidden.group()!r} is not allowed in a command line")
    commands = text.split("&&")
    if len(commands) > MAX_COMMANDS:
        raise CommandError(f"more than {MAX_COMMANDS} commands")
    return tuple(_split_command(rules, command) for command in commands)


def _split_command(rules: CommandLine, text: str) -> tuple[str, ...]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CommandError(str(error).lower()) from None
    if not words:
        raise CommandError("an empty command")
    if any(not _TOKEN.match(word) for word in words):
        raise CommandError("`&&` between commands is the only operator")
    program = rules.allow.get(words[0])
    if program is None:
        raise CommandError(f"`{words[0]}` is not an allowed program")
    _check_arguments(words[0], program, words[1:])
    return tuple(words)


def _check_arguments(name: str, program: Program, words: list[str]) -> None:
    operands: list[str] = []
    pending = iter(words)
    for word in pending:
        if not word.startswith("-"):
            operands.append(word)
        elif word in program.options or _is_bundle(program, word):
            continue
        elif word in program.values:
            value = next(pending, None)
            if value is None or value.startswith("-"):
                raise CommandError(f"`{name} {word}` needs a value")
        elif not _has_attached_value(program, word):
            raise CommandError(f"`{name}` may not be given `{word}`")
    if program.subcommands:
        if not operands or operands[0] not in program.subcommands:
            raise CommandError(f"`{name}` needs one of {', '.join(program.subcommands)}")
        operands = operands[1:]
    if len(operands) > program.operands:
        raise CommandError(f"`{name}` takes at most {program.operands} operands")
    if "" in operands:
        raise CommandError(f"`{name}` was given an empty operand")


def _is_bundle(program: Program, word: str) -> bool:
    """Are these short options in one word, such as ``-hT``, each allowed by itself?"""
    return len(word) > 2 and word[1] != "-" and all(f"-{letter}" in program.options for letter in word[1:])


def _has_attached_value(program: Program, word: str) -> bool:
    """Is this ``--lines=200`` or ``-n200``?"""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        return bool(equals and value) and name in program.values
    return word[:2] in program.values and len(word) > 2 and word[2] != "="

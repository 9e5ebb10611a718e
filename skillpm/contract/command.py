"""Command lines without a shell: programs of an allow-list joined by ``&&``, nothing else that a shell would read."""

from __future__ import annotations

import re
import shlex

from skillpm.contract.grammar import Command, CommandError, Grammar
from skillpm.model.contract import CommandLine

MAX_COMMANDS = 16
_SHELL = re.compile(r"[^A-Za-z0-9 \"'&_./:@%+,=-]")  # everything else means something to a shell, or to nobody
_TOKEN = re.compile(r"[^&\"']*\Z")

Argv = tuple[tuple[str, ...], ...]


class CommandLineReader:
    """The allow-list of a command line, compiled."""

    def __init__(self, rules: CommandLine) -> None:
        self._grammars = {name: Grammar(program) for name, program in rules.allow.items()}

    def argv(self, text: str) -> Argv:
        """Split a command line into one argv for each command.

        Raises:
            CommandError: a character, an operator, a program or an option that is not allowed.
        """
        commands = _split(text)
        for words in commands:
            self._read(words).normal()  # a value that is not of its form is one that the program would refuse
        return commands

    def normal(self, argv: Argv) -> Argv:
        """Return the normal form of commands that ``argv`` has returned."""
        return tuple(self._read(words).normal() for words in argv)

    def _read(self, words: tuple[str, ...]) -> Command:
        grammar = self._grammars.get(words[0])
        if grammar is None:
            raise CommandError(f"`{words[0]}` is not an allowed program")
        return grammar.read(words[0], words[1:])


def _split(text: str) -> Argv:
    forbidden = _SHELL.search(text)
    if forbidden:
        raise CommandError(f"{forbidden.group()!r} is not allowed in a command line")
    commands = text.split("&&")
    if len(commands) > MAX_COMMANDS:
        raise CommandError(f"more than {MAX_COMMANDS} commands")
    return tuple(_split_command(command) for command in commands)


def _split_command(text: str) -> tuple[str, ...]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CommandError(str(error).lower()) from None
    if not words:
        raise CommandError("an empty command")
    if any(not _TOKEN.match(word) for word in words):
        raise CommandError("`&&` between commands is the only operator")
    return tuple(words)

"""Command lines without a shell: programs of an allow-list joined by ``&&``, nothing else that a shell would read."""

from __future__ import annotations

import re
import shlex
from functools import lru_cache

from skillpm.contract.grammar import CommandError, Grammar
from skillpm.model.contract import CommandLine

MAX_COMMANDS = 16
_REMEMBERED = 64  # words of a command
_SHELL = re.compile(r"[^A-Za-z0-9 \"'&_./:@%+,=-]")  # a shell may give a meaning to every other character
# but not to these, inside or at the end of a word: the revisions of git, such as `HEAD~1`, `main^2` and `stash@{1}`
_REVISION = re.compile(r"(?<=[A-Za-z0-9_@}^~])[~^]|@\{[A-Za-z0-9]+\}")
_BLANK = re.compile(r"\\ ")  # a blank inside a word, outside of quotes
_QUOTING = re.compile(r"[\"'\\]")
_TOKEN = re.compile(r"[^&\"'\\]*\Z")

Argv = tuple[tuple[str, ...], ...]


class CommandLineReader:
    """The allow-list of a command line, compiled."""

    def __init__(self, rules: CommandLine) -> None:
        self._grammars = {name: Grammar(program) for name, program in rules.allow.items()}
        # checking a command normalises it, and one expected command is compared with many answers
        self._remembered = lru_cache(maxsize=1024)(self._normal)

    def argv(self, text: str) -> Argv:
        """Split a command line into one argv for each command.

        Raises:
            CommandError: a character, an operator, a program, an option or a value is not allowed.
        """
        forbidden = _SHELL.search(_BLANK.sub("", _REVISION.sub("", text)))
        if forbidden:
            raise CommandError(f"{forbidden.group()!r} is not allowed in a command line")
        texts = text.split("&&")
        if len(texts) > MAX_COMMANDS:
            raise CommandError(f"more than {MAX_COMMANDS} commands")
        commands = tuple(_split(text) for text in texts)
        self.normal(commands)
        return commands

    def normal(self, argv: Argv) -> Argv:
        """Return the normal form of commands. Raises CommandError."""
        return tuple(self._remembered(words) if len(words) <= _REMEMBERED else self._normal(words) for words in argv)

    def _normal(self, words: tuple[str, ...]) -> tuple[str, ...]:
        grammar = self._grammars.get(words[0])
        if grammar is None:
            raise CommandError(f"`{words[0]}` is not an allowed program")
        return grammar.normal(words)


def _split(text: str) -> tuple[str, ...]:
    try:
        words = shlex.split(text) if _QUOTING.search(text) else text.split()
    except ValueError as error:
        raise CommandError(str(error).lower()) from None
    if not words:
        raise CommandError("an empty command")
    if any(not _TOKEN.match(word) for word in words):
        raise CommandError("a word holds no quote and no backslash, and `&&` between commands is the only operator")
    return tuple(words)

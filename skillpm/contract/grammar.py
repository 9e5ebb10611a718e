"""Reads the words after a program's name as the program does: POSIX 12.2 with GNU getopt's long options.

Two commands are the same if they have one normal form. There every option has its one name and its value beside it,
flags stand once, options are sorted (unless the program counts their order), and every value has one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jsonschema_rs

from skillpm.contract.socket_filter import normal_filter
from skillpm.contract.values import normal_value
from skillpm.errors import DocumentError
from skillpm.model.contract import Flag, Operands, Program, ValueOption

_SIGNED = re.compile(r"-[0-9]")


class CommandError(ValueError):
    """A command line that no executor would run; the text is the reason."""


class Occurrence(NamedTuple):
    """One option as it stands in a command; ``value`` is None for a flag."""

    option: Flag | ValueOption
    value: str | None


@dataclass(slots=True)
class Command:
    """The words of one command, parsed.

    Attributes:
        path: the program's name and those of the subcommands so far.
        grammar: the grammar of the last of them.
        options: the options in the order of the command.
        inner: the subcommand and the words after it, if the subcommand has its own grammar.
    """

    path: str
    grammar: Grammar
    options: list[Occurrence] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)
    inner: Command | None = None


class Grammar:
    """A ``Program`` of a contract, compiled: its options by name.

    Args:
        program: the program, or one of its subcommands.
        outer: the grammar around a subcommand that also takes the options of its program.

    Raises:
        DocumentError: a pattern is wrong, or needs look-around or back-references.
    """

    def __init__(self, program: Program, outer: Grammar | None = None) -> None:
        self.program = program
        self._flags: dict[str, Flag] = dict(outer._flags) if outer else {}
        self._values: dict[str, ValueOption] = dict(outer._values) if outer else {}
        self._patterns: dict[str, Callable[[str], bool]] = dict(outer._patterns) if outer else {}
        self._flags |= {name: option for option in program.options for name in option.names}
        self._values |= {name: option for option in program.values for name in option.names}
        self._patterns |= {option.name: _matcher(option) for option in program.values if option.following is not None}
        self._number = next((option for option in program.values if option.number), None)
        inner = program.subcommands if isinstance(program.subcommands, dict) else {}
        shared = None if program.options_first else self
        self._inner = {name: Grammar(subcommand, shared) for name, subcommand in inner.items()}

    def normal(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the normal form of a command.

        Args:
            words: the command, with the program's name in front.

        Raises:
            CommandError: the grammar does not have an option, a subcommand, an operand or a value of the command.
        """
        return tuple(self._normal(self._read(words[0], words[1:])))

    def _read(self, path: str, words: Sequence[str]) -> Command:
        """Parse the words that follow ``path``."""
        command = Command(path, self)
        place = 0
        if self.program.bundle_first and words and re.fullmatch(r"[A-Za-z]+", words[0]):
            place = self._read_letters(command, words)
        # Left to right, as getopt does: each option says how many of the following words it takes as its value, so a
        # word is an operand or an option only because of what stands before it.
        while place < len(words):
            word = words[place]
            place += 1
            if word == "--":
                rest = words[place:]
                if rest and rest[0] in self._inner and not command.operands and not self.program.options_first:
                    command.inner = self._inner[rest[0]]._read(f"{path} {rest[0]}", ["--", *rest[1:]])
                else:
                    command.operands += rest
                break
            if not word.startswith("-") or word == "-":
                if word in self._inner and not command.operands:
                    command.inner = self._inner[word]._read(f"{path} {word}", words[place:])
                    break
                command.operands.append(word)
                if self.program.options_first:
                    command.operands += words[place:]
                    break
            else:
                place += self._read_option(command, word, words[place : place + 1])
        self._check(command)
        return command

    def _read_letters(self, command: Command, words: Sequence[str]) -> int:
        """Read ``tvf FILE``: the values follow in the order of the letters. Return the number of words it takes."""
        taken = 1
        for letter in words[0]:
            taken += self._read_alone(command, f"-{letter}", words[taken : taken + 1])
        return taken

    def _read_option(self, command: Command, word: str, following: Sequence[str]) -> int:
        """Read one option or one bundle of options. Return how many of the following words belong to it."""
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            if equals and name in self._values:
                return self._add(command, self._values[name], value)
            return self._read_alone(command, word, following)
        if word in self._flags or word in self._values:  # also programs whose long names have one dash
            return self._read_alone(command, word, following)
        if self._number is not None and word[1:].isdecimal():
            command.options.append(Occurrence(self._number, word[1:]))
            return 0
        # A bundle such as `-hT` or `-bn1`. The first letter that takes a value takes the rest of the word, so
        # `-bn1` is `-b -n 1` and `-nb1` is `-n b1`: what the program would do.
        for place, letter in enumerate(word[1:], 2):
            name, attached = f"-{letter}", word[place:]
            if name in self._values and attached:
                return self._add(command, self._values[name], attached)
            if name in self._values and name not in self._flags:
                return self._read_alone(command, name, following)
            if name not in self._flags:
                raise CommandError(f"`{command.path}` does not allow `{word}`")
            command.options.append(Occurrence(self._flags[name], None))
        return 0

    def _read_alone(self, command: Command, name: str, following: Sequence[str]) -> int:
        """Read an option that is a word by itself; the next word may be its value."""
        option = self._values.get(name)
        if option is not None and option.optional:
            takes = bool(following) and option.name in self._patterns and self._patterns[option.name](following[0])
            command.options.append(Occurrence(option, following[0] if takes else option.const or ""))
            return int(takes)
        if option is not None and following and self._is_value(option, following[0]):
            return 1 + self._add(command, option, following[0])
        if name in self._flags:  # an older contract lists an option with an optional value both ways
            command.options.append(Occurrence(self._flags[name], None))
            return 0
        if option is not None:
            raise CommandError(f"`{command.path} {name}` needs a value")
        raise CommandError(f"`{command.path}` does not allow `{name}`")

    def _add(self, command: Command, option: ValueOption, value: str) -> int:
        """Add an option with its value; return 0, for a value that is part of its word takes no following word."""
        if option.name in self._patterns and not self._patterns[option.name](value):
            raise CommandError(f"`{command.path} {option.name}` does not allow the value `{value[:80]}`")
        command.options.append(Occurrence(option, value))
        return 0

    def _is_value(self, option: ValueOption, word: str) -> bool:
        """May this word be the value of the option before it?"""
        # getopt takes any word. Other parsers read `--exec` as an option: the contract would take it for a value and
        # the program would run an option that the contract does not allow. So a separate word is a value only if no
        # parser reads it as an option.
        if not word.startswith("-") or word == "-" or option.dash:
            return True
        return bool(_SIGNED.match(word)) and word not in self._flags and word not in self._values

    def _check(self, command: Command) -> None:
        program, path, operands = self.program, command.path, command.operands
        if program.subcommands and command.inner is None:
            first = operands[0] if operands else program.default_subcommand
            if first is None or first not in program.subcommands or (operands and self._inner):
                raise CommandError(f"`{path}` needs one of {', '.join(program.subcommands)}")
            if first in self._inner:
                command.inner = self._inner[first]._read(f"{path} {first}", ())
            elif not operands:
                operands.append(first)
        count = len(self._operands_of(command))
        if count > program.operands.most:
            raise CommandError(f"`{path}` takes at most {program.operands.most} operands")
        if count < program.operands.least and command.inner is None:
            raise CommandError(f"`{path}` needs at least {program.operands.least} operands")
        if "" in operands:
            raise CommandError(f"`{path}` does not allow an empty operand")

    def _operands_of(self, command: Command) -> list[str]:
        """Return the operands of a command without its subcommand."""
        return command.operands[1:] if self.program.subcommands and command.inner is None else command.operands

    def _normal(self, command: Command) -> list[str]:
        inner = command.inner
        if inner is not None:  # the program's own options mean the same before the subcommand and after it
            own = {option.name for option in (*inner.grammar.program.options, *inner.grammar.program.values)}
            command.options += [item for item in inner.options if item.option.name not in own]
            inner.options = [item for item in inner.options if item.option.name in own]
        words = [command.path.rpartition(" ")[2], *self._normal_options(command)]
        if inner is not None:
            return words + inner.grammar._normal(inner)
        operands = self._operands_of(command)
        words += command.operands[: len(command.operands) - len(operands)]
        return [*words, "--", *_normal_operands(self.program.operands, operands, command.path)]

    def _normal_options(self, command: Command) -> list[str]:
        default = self.program.default_options
        given = command.options or (self._other(default) if default is not None else [])
        # What is implied stands in front: where the last counts, what is given goes before it.
        implied = (item.option.implies for item in given if item.option.implies)
        meanings = [(item.option, item) for text in implied for item in self._other(text)]
        meanings += [(item.option, meaning) for item in given for meaning in self._meanings(item)]
        items = [
            (self._group(written), option, _spelling(option, piece, command.path))
            for written, (option, value) in meanings
            for piece in _pieces(option, value)
        ]
        # Of one option the last counts, and not of another one that stands for it: `du -s -d 1` is an error of du.
        last = {group: place for place, (group, _, _) in enumerate(items)}
        # An occurrence that says nothing is dropped: an earlier one where the last counts, a repeated one where the
        # occurrences are a set (as those of a flag are), and one that says the default.
        words: list[tuple[str, str, str]] = []
        for place, (group, option, value) in enumerate(items):
            repeat, is_written = option.repeat, group == self._group(option)
            default = option.default if isinstance(option, ValueOption) else None
            text = option.name if value is None else f"{option.name}={value}"
            word = (self._rival(option), value or "" if repeat == "set" or not is_written else "", text)
            counts = place == last[group] or (repeat != "last" and self._group(option) == option.name)
            if not counts or option.ignored or (repeat != "each" and text in (other for _, _, other in words)):
                continue
            if default is None or value != _spelling(option, default, ""):
                words.append(word)
        # The sort is stable and its key has a value only in a set, so the occurrences of an option whose order counts
        # keep their order among themselves, and so do `--x` and `--no-x`.
        if self.program.order == "any":
            words.sort(key=lambda word: word[:2])
        return [text for _, _, text in words]

    def _rival(self, option: Flag | ValueOption) -> str:
        """Return the name of the option that ``--no-x`` takes back, or the option's own name."""
        taken_back = [name.replace("--no-", "--", 1) for name in option.names if name.startswith("--no-")]
        rivals = (self._flags.get(name) or self._values.get(name) for name in taken_back)
        return next((rival.name for rival in rivals if rival is not None), option.name)

    def _group(self, option: Flag | ValueOption) -> str:
        """Return the first of the options that rule one another out, or the option's own name."""
        names = (group for group in self.program.last_of if not set(group).isdisjoint(option.names))
        return " ".join(next(names, (option.name,)))

    def _meanings(self, occurrence: Occurrence) -> list[Occurrence]:
        """Return what an option stands for: itself, or the option that it ``means``."""
        means = occurrence.option.means
        return [occurrence] if means is None else self._other(means)

    def _other(self, text: str) -> list[Occurrence]:
        """Return an option that the grammar itself writes for another one."""
        command = Command("", self)
        word, *following = text.split(" ")
        self._read_option(command, word, following)
        return command.options


def _matcher(option: ValueOption) -> Callable[[str], bool]:
    """Return what matches a value of an option, in linear time: a skill's own pattern may be hostile."""
    schema = {"type": "string", "pattern": f"^(?:{option.following})$"}
    try:
        validator = jsonschema_rs.Draft202012Validator(
            schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise DocumentError(f"option `{option.name}`: following: {str(error).splitlines()[0]}") from None
    matches: Callable[[str], bool] = validator.is_valid
    return matches


def _pieces(option: Flag | ValueOption, value: str | None) -> Sequence[str | None]:
    """Return the values of a list, or the one value; behind a ``=``, as in ``ps -o pid=A,B``, a comma is text."""
    separator = option.separator if isinstance(option, ValueOption) else None
    return [value] if separator is None or value is None or "=" in value else value.split(separator)


def _spelling(option: Flag | ValueOption, value: str | None, path: str) -> str | None:
    if value is None or not isinstance(option, ValueOption):
        return None
    try:
        return normal_value(option.form, option.same.get(value, value).removeprefix(option.idle_sign or ""))
    except ValueError as error:
        raise CommandError(f"`{path} {option.name}` takes {error}, not `{value[:80]}`") from None


def _normal_operands(rules: Operands, operands: Sequence[str], path: str) -> list[str]:
    if not operands and rules.default is not None:
        operands = [rules.default]
    if rules.form == "words":
        return [normal_value("words", " ".join(operands))] if operands else []
    try:
        if rules.form == "socket_filter":
            return normal_filter(operands)
        forms = [rules.first or rules.form, *[rules.form] * len(operands)]
        words = [normal_value(form, word) for form, word in zip(forms, operands, strict=False)]
    except ValueError as error:
        raise CommandError(f"`{path}` takes {error} as an operand") from None
    return sorted(words) if rules.any_order else words

"""Reads the words after a program's name as the program does: POSIX 12.2 with GNU getopt's long options.

Two commands are the same where they have one normal form. In it every option has its one name and its value beside it,
flags stand once, options stand in one order (their order counts for few programs), and every value has one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import jsonschema_rs

from skillpm.contract.values import normal_value
from skillpm.errors import DocumentError
from skillpm.model.contract import Flag, Operands, Program, ValueOption

_SIGNED = re.compile(r"-[0-9]")


class CommandError(ValueError):
    """A command line that no executor would run; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Given:
    """One option of a command, as it was given; ``value`` is None for a flag."""

    option: Flag | ValueOption
    value: str | None


@dataclass(slots=True)
class Command:
    """The words of one command, told apart.

    Attributes:
        path: the program's name and those of the subcommands so far.
        grammar: of the last of them.
        options: in the order in which they were given.
        operands: the other words.
        inner: the subcommand with what follows it, where it has a grammar of its own.
    """

    path: str
    grammar: Grammar
    options: list[Given] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)
    inner: Command | None = None

    def normal(self) -> tuple[str, ...]:
        """Return the normal form. Raises CommandError where a value is not of its form."""
        return tuple(self.grammar.normal(self))


class Grammar:
    """A ``Program`` of a contract, compiled: its options by name.

    Raises:
        DocumentError: a pattern that is wrong, or needs look-around or back-references.
    """

    def __init__(self, program: Program, outer: Grammar | None = None) -> None:
        self.program = program
        self._flags: dict[str, Flag] = {} if outer is None else dict(outer._flags)
        self._values: dict[str, ValueOption] = {} if outer is None else dict(outer._values)
        self._flags |= {name: option for option in program.options for name in option.names}
        self._values |= {name: option for option in program.values for name in option.names}
        self._patterns: dict[str, Callable[[str], bool]] = {} if outer is None else dict(outer._patterns)
        self._patterns |= {option.name: _matcher(option) for option in program.values if option.following is not None}
        self._number = next((option for option in program.values if option.number), None)
        subcommands = program.subcommands
        self._inner = (
            {name: Grammar(inner, None if program.options_first else self) for name, inner in subcommands.items()}
            if isinstance(subcommands, dict)
            else {}
        )

    def read(self, path: str, words: Sequence[str]) -> Command:
        """Tell the words of a command apart.

        Args:
            path: what stands before them, for messages.
            words: without the program's name.

        Raises:
            CommandError: an option, a subcommand or an operand that the grammar does not have.
        """
        command = Command(path, self)
        place = 0
        if self.program.bundle_first and words and re.fullmatch(r"[A-Za-z]+", words[0]):
            place = self._read_letters(command, words)
        while place < len(words):
            word = words[place]
            place += 1
            if word == "--":
                command.operands += words[place:]
                break
            if not word.startswith("-") or word == "-":
                if word in self._inner and not command.operands:
                    command.inner = self._inner[word].read(f"{path} {word}", words[place:])
                    break
                command.operands.append(word)
                if self.program.options_first:
                    command.operands += words[place:]
                    break
            elif word.startswith("--"):
                place += self._read_long(command, word, words[place : place + 1])
            else:
                place += self._read_short(command, word, words[place : place + 1])
        self._check(command)
        return command

    def _read_long(self, command: Command, word: str, following: Sequence[str]) -> int:
        """Read ``--name``, ``--name=value`` or ``--name value``; return how many of the following words it took."""
        name, equals, value = word.partition("=")
        if equals:
            if name not in self._values:
                raise CommandError(f"`{command.path}` may not be given `{word}`")
            self._add(command, self._values[name], value)
            return 0
        return self._read_alone(command, word, following)

    def _read_short(self, command: Command, word: str, following: Sequence[str]) -> int:
        """Read ``-n``, ``-n200``, a bundle such as ``-hT`` or ``-bn1``, or ``-20``."""
        if word in self._flags or word in self._values:  # also programs whose long names have one dash
            return self._read_alone(command, word, following)
        if self._number is not None and word[1:].isdecimal():
            command.options.append(Given(self._number, word[1:]))
            return 0
        bundle: list[Given] = []
        for place, letter in enumerate(word[1:], 1):
            name = f"-{letter}"
            option = self._values.get(name)
            if option is not None and (name not in self._flags or word[place + 1 :]):
                attached = word[place + 1 :]
                if attached:
                    command.options += bundle
                    self._add(command, option, attached)
                    return 0
                command.options += bundle
                return self._read_alone(command, name, following)
            if name not in self._flags:
                raise CommandError(f"`{command.path}` may not be given `{word}`")
            bundle.append(Given(self._flags[name], None))
        command.options += bundle
        return 0

    def _read_letters(self, command: Command, words: Sequence[str]) -> int:
        """Read ``tvf FILE``: the values of the letters follow in their order; return how many words were taken."""
        taken = 1
        for letter in words[0]:
            taken += self._read_alone(command, f"-{letter}", words[taken : taken + 1])
        return taken

    def _read_alone(self, command: Command, name: str, following: Sequence[str]) -> int:
        """Read an option that is a word by itself, with its value from the next word where it takes one."""
        option = self._values.get(name)
        if option is None:
            if name not in self._flags:
                raise CommandError(f"`{command.path}` may not be given `{name}`")
            command.options.append(Given(self._flags[name], None))
            return 0
        if option.optional:
            if following and option.name in self._patterns and self._patterns[option.name](following[0]):
                command.options.append(Given(option, following[0]))
                return 1
            command.options.append(Given(option, option.const or ""))
            return 0
        if not following or not self._is_value(option, following[0]):
            if name in self._flags:  # an older contract lists an option with an optional value both ways
                command.options.append(Given(self._flags[name], None))
                return 0
            raise CommandError(f"`{command.path} {name}` needs a value")
        command.options.append(Given(option, following[0]))
        return 1

    def _add(self, command: Command, option: ValueOption, attached: str) -> None:
        if option.name in self._patterns and not self._patterns[option.name](attached):
            raise CommandError(f"`{command.path} {option.name}` may not be given `{attached[:80]}`")
        command.options.append(Given(option, attached))

    def _is_value(self, option: ValueOption, word: str) -> bool:
        """May this word be the value of the option before it?

        getopt takes any word. Other parsers would read ``--exec`` as an option, so that what the contract takes for a
        value could be an option that it does not allow: only what no parser reads as one is a value by itself.
        """
        if not word.startswith("-") or word == "-" or option.dash:
            return True
        return bool(_SIGNED.match(word)) and word not in self._flags and word not in self._values

    def _check(self, command: Command) -> None:
        program, path, operands = self.program, command.path, command.operands
        if program.subcommands and command.inner is None:
            first = operands[0] if operands else program.default_subcommand
            if first is None or first not in program.subcommands or (operands and self._inner):
                raise CommandError(f"`{path}` needs one of {', '.join(program.subcommands)}")
            if not operands:
                self._add_default(command, first)
        count = len(self.operands_of(command))
        if count > program.operands.most:
            raise CommandError(f"`{path}` takes at most {program.operands.most} operands")
        if count < program.operands.least and command.inner is None:
            raise CommandError(f"`{path}` needs at least {program.operands.least} operands")
        if "" in operands:
            raise CommandError(f"`{path}` was given an empty operand")

    def _add_default(self, command: Command, name: str) -> None:
        if name in self._inner:
            command.inner = self._inner[name].read(f"{command.path} {name}", ())
        else:
            command.operands.insert(0, name)

    def operands_of(self, command: Command) -> list[str]:
        """Return the operands of a command without its subcommand."""
        return command.operands[1:] if self.program.subcommands and command.inner is None else command.operands

    def normal(self, command: Command) -> list[str]:
        """Return the normal form of a command that this grammar has read. Raises CommandError."""
        inner = command.inner
        if inner is not None:  # the program's own options mean the same before the subcommand and after it
            own = {option.name for option in (*inner.grammar.program.options, *inner.grammar.program.values)}
            command.options += [given for given in inner.options if given.option.name not in own]
            inner.options = [given for given in inner.options if given.option.name in own]
        words = [command.path.rpartition(" ")[2], *self._normal_options(command)]
        if inner is not None:
            return words + inner.grammar.normal(inner)
        operands = self.operands_of(command)
        words += command.operands[: len(command.operands) - len(operands)]
        return [*words, "--", *_normal_operands(self.program.operands, operands, command.path)]

    def _normal_options(self, command: Command) -> list[str]:
        occurrences: list[tuple[str, str | None]] = []
        for given in command.options:
            for option, value in self._meanings(given):
                if option.ignored:
                    continue
                spelling = None if value is None else _spelling(option, value, command.path)
                occurrences.append((option.name, spelling))
        kept = self.program.order == "kept"
        return [name if value is None else f"{name}={value}" for name, value in self._ordered(occurrences, kept=kept)]

    def _meanings(self, given: Given) -> list[tuple[Flag | ValueOption, str | None]]:
        """Return what an option stands for: itself, or the option that it ``means``."""
        if given.option.means is None:
            return [(given.option, given.value)]
        command = Command("", self)
        words = given.option.means.split(" ")
        read = self._read_long if words[0].startswith("--") else self._read_short
        read(command, words[0], words[1:])
        return [(item.option, item.value) for item in command.options]

    def _ordered(self, occurrences: list[tuple[str, str | None]], *, kept: bool) -> list[tuple[str, str | None]]:
        """Drop what says nothing, and sort by name; a stable sort keeps the order of one option's occurrences."""
        last = {name: place for place, (name, _) in enumerate(occurrences)}
        told: list[tuple[str, str | None]] = []
        for place, (name, value) in enumerate(occurrences):
            option = self._values.get(name)
            if value is None or option is None:
                if (name, value) not in told:
                    told.append((name, value))
            elif (option.repeat == "last" and place != last[name]) or (
                option.repeat == "set" and (name, value) in told
            ):
                continue
            elif option.default is None or value != _spelling(option, option.default, ""):
                told.append((name, value))
        if kept:
            return told
        sets = {name for name, _ in told if name in self._values and self._values[name].repeat == "set"}
        return sorted(told, key=lambda item: (item[0], (item[1] or "") if item[0] in sets else ""))


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


def _spelling(option: Flag | ValueOption, value: str, path: str) -> str:
    assert isinstance(option, ValueOption)
    try:
        return normal_value(option.form, option.same.get(value, value))
    except ValueError as error:
        raise CommandError(f"`{path} {option.name}` takes {error}, not `{value[:80]}`") from None


def _normal_operands(rules: Operands, operands: Sequence[str], path: str) -> list[str]:
    if rules.form == "words":
        return [normal_value("words", " ".join(operands))] if operands else []
    try:
        words = [normal_value(rules.form, word) for word in operands]
    except ValueError as error:
        raise CommandError(f"`{path}` takes {error} as an operand") from None
    return sorted(words) if rules.any_order else words

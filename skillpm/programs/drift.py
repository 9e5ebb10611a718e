"""What has changed between a program as a skill has it and the program as it is here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.model.contract import ArgvPart, CommandLine, Tool
from skillpm.model.contract import Program as Grammar
from skillpm.programs.help_options import choices_of
from skillpm.programs.program import Command, Option, Program

_FACTS = ("value", "kind", "choices", "minimum", "maximum", "default", "required", "many")
_CODE = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_BETWEEN = re.compile(r"\n|&&|;|\|\||\s\|\s")
_ALONE = re.compile(r"(--[a-z][\w-]+)(?:[ =](\S+))?")
_WORDS = re.compile(r"`[\w.+-]+`(?:(?:,|/|\||,? (?:or|and))? ?`[\w.+-]+`)+")  # `a`, `b` or `c`
_END = re.compile(r"\n\s*(?:\n|[-*|#+]|\d+\. )|`--?[A-Za-z]")  # of what is said of an option
_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the skill has it.

    Attributes:
        what: ``new command``, ``removed option``, ``changed default`` and so on.
        subject: the option, operand or subcommand.
        before: as the skill has it; empty where it has none.
        now: as the program is; empty where it is gone.
    """

    file: str
    command: str
    what: str
    subject: str
    before: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """What a skill uses of a program: a command, the flags in it, and whether each takes a value.

    Attributes:
        words: None where a text names an option and does not say of which command.
        flags: each with whether it takes a value; None where that is not said. Names of one option stand together,
            ``-n, --lines``: a program often takes one that its help does not list.
        choices: of a flag, where the skill lists them.
    """

    file: str
    program: str
    words: tuple[str, ...] | None
    flags: dict[str, bool | None]
    choices: dict[str, tuple[str, ...]]


def differences(before: Program, now: Program, file: str) -> Iterator[Difference]:
    """Yield what differs between two readings of one program, but for descriptions.

    A parser says more than a help: where one reading is of a help, only commands and options are compared.
    """
    is_alike = before.source == now.source
    for name in before.names:
        if name not in now.names:
            yield Difference(file, before.name, "removed command", name, name)
    for name in now.names:
        if name not in before.names:
            yield Difference(file, before.name, "new command", name, "", name)
    found = {command.words: command for command in now.commands}
    for command in before.commands:
        line = " ".join((before.name, *command.words))
        if command.words in found:
            found_now = _of_command(file, line, command, found[command.words])
            yield from (item for item in found_now if is_alike or item.what in ("removed option", "new option"))
        elif " ".join(command.words) in now.names or " ".join(command.words) not in before.names:
            yield Difference(file, line, "removed command", " ".join(command.words) or before.name, line)


def _of_command(file: str, line: str, before: Command, now: Command) -> Iterator[Difference]:
    rest = list(now.options)
    for option in before.options:
        other = next((item for item in rest if _is_same(option, item)), None)
        if other is None:
            kind = "option" if option.names else "operand"
            yield Difference(file, line, f"removed {kind}", option.title, option.title)
            continue
        rest.remove(other)
        if set(option.names) != set(other.names):
            old, new = (" ".join(sorted(item.names)) for item in (option, other))
            yield Difference(file, line, "changed names", option.title, old, new)
        for fact in _FACTS:
            old, new = _text(getattr(option, fact)), _text(getattr(other, fact))
            if old != new:
                yield Difference(file, line, f"changed {fact}", option.title, old, new)
    for option in rest:
        kind = "option" if option.names else "operand"
        yield Difference(file, line, f"new {kind}", option.title, "", option.title)
    groups = [{(frozenset(group.names), group.required) for group in item.exclusions} for item in (before, now)]
    for what, some in (("removed exclusion", groups[0] - groups[1]), ("new exclusion", groups[1] - groups[0])):
        for names, _ in sorted(some, key=lambda group: sorted(group[0])):
            text = " | ".join(sorted(names))
            yield Difference(file, line, what, text, *((text, "") if what.startswith("removed") else ("", text)))


def _is_same(option: Option, other: Option) -> bool:
    if option.names or other.names:
        return bool(set(option.names) & set(other.names))
    return option.label == other.label


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def uses_of_tools(tools: Iterable[Tool]) -> Iterator[Use]:
    """Yield what the command lines of a contract use."""
    for tool in tools:
        if isinstance(tool.argv, CommandLine):
            for name, grammar in tool.argv.allow.items():
                yield from _uses_of_grammar(name, (), grammar)
        elif tool.argv:
            yield _use_of_words(tool)


def _uses_of_grammar(program: str, words: tuple[str, ...], grammar: Grammar) -> Iterator[Use]:
    flags: dict[str, bool | None] = {", ".join(option.names): False for option in grammar.options}
    flags |= {", ".join(option.names): True if not option.optional else None for option in grammar.values}
    yield Use("contract.yaml", program, words, flags, {})
    names = grammar.subcommands
    for name in names:
        inner = names[name] if isinstance(names, dict) else Grammar()
        yield from _uses_of_grammar(program, (*words, name), inner)


def _use_of_words(tool: Tool) -> Use:
    assert tool.argv is not None and not isinstance(tool.argv, CommandLine)
    constants = [part for part in tool.argv if isinstance(part, str)]
    words = []
    for part in tool.argv[1:]:
        if not isinstance(part, str) or part.startswith("-"):
            break
        words.append(part)
    flags: dict[str, bool | None] = {word: None for word in constants if re.fullmatch(r"--?[A-Za-z][\w-]*", word)}
    choices = {}
    for part in tool.argv:
        if isinstance(part, ArgvPart) and part.flag is not None:
            bare = part.flag.partition("=")[0] if part.flag.startswith("-") else part.flag  # `-lock=false`, but `bs=`
            flags[bare] = None if bare != part.flag else part.value is not None
            listed = tool.properties.get(part.value or "", {}).get("enum")
            if listed:
                choices[part.flag] = tuple(str(item) for item in listed if item is not None)
    return Use("contract.yaml", constants[0] if constants else "", tuple(words), flags, choices)


def uses_of_text(text: str, programs: Iterable[str]) -> Iterator[Use]:
    """Yield what the code of SKILL.md uses, with the values that it lists; ``programs`` are those of the skill."""
    known = set(programs)
    for found in _CODE.finditer(text):
        for line in _BETWEEN.split(found[1] or found[2]):
            words = line.strip().removeprefix("$ ").split()
            alone = _ALONE.fullmatch(line.strip())
            if words and words[0] in known:
                flags = {flag: None for word in words[1:] for flag in _FLAG.findall(word)[:1] if word.startswith(flag)}
                bare = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]+", word)]
                yield Use("SKILL.md", words[0], tuple(bare[:1]), dict(flags), dict(_values(words)))
            elif len(known) == 1 and alone is not None:
                listed = choices_of(alone[2] or "", "") or _listed(text[found.end() :])
                yield Use("SKILL.md", next(iter(known)), None, {alone[1]: None}, {alone[1]: listed})


def _values(words: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the flags of a command line, each with its value, or the alternatives that stand for it."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        flag, _, value = word.partition("=")
        value = (value or following).strip("\"'")
        if _FLAG.fullmatch(flag):
            yield flag, choices_of(value, "") or ((value,) if re.fullmatch(r"[a-z0-9][\w.+-]*", value) else ())


def _listed(text: str) -> tuple[str, ...]:
    """Return the values that a paragraph, an item or a row of a table lists behind the name of an option."""
    text = _END.split(text, maxsplit=1)[0]
    found = _WORDS.search(text)
    return tuple(re.findall(r"`([^`]+)`", found[0])) if found else choices_of("", re.sub(r"[`*]", "", text))


def anywhere(commands: Iterable[Command]) -> Command:
    """Return one command with the options of all; an option of several has the choices of each, if all list some."""
    choices: dict[str, tuple[str, ...]] = {}
    for option in (option for command in commands for option in command.options):
        for name in option.names:
            before = choices.get(name, option.choices)
            choices[name] = tuple(dict.fromkeys((*before, *option.choices))) if before and option.choices else ()
    return Command(options=tuple(Option(names=(name,), choices=listed) for name, listed in choices.items()))


def missing(use: Use, command: Command | None, text: str) -> Iterator[Difference]:
    """Yield flags of a skill that its program does not have, or that take a value where they take none.

    A flag that stands in ``text``, which is all that the program says of itself, is not missing.
    """
    line = " ".join((use.program, *(use.words or ())))
    known = {name: option for option in (command.options if command else ()) for name in option.names}
    for flag, takes_value in use.flags.items():
        names = flag.split(", ")
        option = next((known[name] for name in names if name in known), None)
        if option is None and not any(_stands(name, text) for name in names):
            yield Difference(use.file, line, "removed option", flag, flag)
        elif option and takes_value is not None and option.value == ("none" if takes_value else "required"):
            forms = {True: "takes a value", False: "takes none"}
            yield Difference(use.file, line, "changed value", flag, forms[takes_value], forms[not takes_value])
        if option and (gone := _gone(use, option, flag)):
            yield Difference(use.file, line, "removed choices", flag, ", ".join(gone), ", ".join(option.choices))


def _gone(use: Use, option: Option, flag: str) -> list[str]:
    """Return the values of a flag that are no choices of an option; none where they may be something else.

    What a text lists may be other words, unless a choice is among them. In a command line a word may be a place holder,
    or the next operand.
    """
    listed = use.choices.get(flag, ())
    if use.words is None and set(option.choices).isdisjoint(listed):
        return []
    if use.file == "SKILL.md" and option.value == "optional":
        return []
    return [item for item in listed if option.choices and item not in (*option.choices, option.label, flag.strip("-"))]


def _stands(flag: str, text: str) -> bool:
    """Does a flag stand in a text, in the bundle of a usage line (``[-abc]``), or as a bundle of flags that do?

    It may, too, where a usage line leaves flags to another command: ``git stash show [<diff-options>]``.
    """
    if re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])|\[<[a-z]+-options>\]", text):
        return True
    if flag.startswith("--no-") and _stands(f"--{flag[5:]}", text):  # many parsers take it without saying so
        return True
    if re.fullmatch(r"-[A-Za-z]{2,}", flag):
        return all(_stands(f"-{letter}", text) for letter in flag[1:])
    return len(flag) == 2 and re.search(rf"\[-[A-Za-z0-9]*{re.escape(flag[1])}[A-Za-z0-9]*\]", text) is not None

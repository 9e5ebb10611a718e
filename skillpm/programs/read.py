"""Read a program: by its parser where it is of click or argparse, else by its help, subcommand by subcommand."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skillpm.errors import UsageError
from skillpm.programs import introspect
from skillpm.programs.ask import Asker
from skillpm.programs.help_options import distinct
from skillpm.programs.help_text import Help, is_manual, read_help
from skillpm.programs.phrases import imperative, one_side
from skillpm.programs.program import Command, Exclusion, Option, Program
from skillpm.programs.tldr import tldr_examples

_DEPTH = 3  # words of a subcommand
_IDLE = frozenset({"help", "completion", "completions", "version", "generate-shell-completion", "self"})
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CommandChoice:
    """Which commands of a program are read.

    Attributes:
        commands: subcommands, each as its words; the first in the program's own order where there are none.
        most: how many, if none is named.
        missing_ok: may one that is named not be there?
    """

    commands: tuple[tuple[str, ...], ...] = ()
    most: int = 8
    missing_ok: bool = False


def read_program(asker: Asker, choice: CommandChoice = CommandChoice(), warn: Warn = lambda _: None) -> Program:
    """Read a program that is installed here. It is only asked for help, and nothing of it is run otherwise.

    ``warn`` takes a sentence about what was left out.

    Raises:
        UsageError: nothing can be read of it.
    """
    read = _by_parser(asker, choice, warn) or _by_help(asker, choice)
    lost = [" ".join(words) for words in choice.commands if all(item.words != words for item in read.commands)]
    if lost and not choice.missing_ok:
        known = ", ".join(read.names[:12]) or "no subcommands"
        raise UsageError(f"`{asker.name}` has no command `{lost[0]}`", hint=f"it has {known}")
    if not any(command.options or command.words for command in read.commands) and not lost:
        reply = asker.ask("--help")
        said = next((line.strip()[:120] for line in reply.text.splitlines() if line.strip()), "")
        printed = f": without your home folder it prints `{said}`" if said else " in its help or manual page"
        reason = f": it {reply.problem}" if reply.problem else printed
        raise UsageError(f"`{asker.name}` lists no option{reason}", hint=f"look at `{asker.name} --help`")
    if len(read.names) > len(read.commands) and not choice.commands:
        shown = ", ".join(" ".join(command.words) for command in read.commands)
        warn(
            f"{asker.name} has {len(read.names)} commands; these {len(read.commands)} were read, and `--command` names "
            f"others: {shown}"
        )
    return _with_examples(read)


def parser_problems(program: str, lines: Sequence[Sequence[str]]) -> list[str] | None:
    """Return for each command line why the program's own parser refuses it; None where it has none that we can ask.

    The lines are parsed and nothing is run; files that they name need not be there.
    """
    asker = Asker(program)
    words = [list(line) for line in lines]
    reply = _introspected(asker, "--parse", json.dumps(words))
    return reply if isinstance(reply, list) and all(isinstance(item, str) for item in reply) else None


def help_texts(asker: Asker, words: tuple[str, ...]) -> str:
    """Return all that a program says of a command and of itself, in its help and its manual pages.

    Raises:
        UsageError: it was not asked to the end, so what it does not say may be there all the same.
    """
    calls = [asker.ask(*words, "--help"), *([asker.ask("--help")] if words else [asker.ask("-h")])]
    if calls[0].problem:
        line = " ".join((asker.name, *words, "--help"))
        raise UsageError(f"`{line}` {calls[0].problem}", hint=f"look at `{line}`")
    manual = shutil.which("man")
    if manual is not None:
        pages = dict.fromkeys(("-".join((asker.name, *words)), asker.name))
        calls += [asker.call(manual, page) for page in pages]
    return "\n".join(re.sub(r"\x1b\[[0-9;]*m|.\x08", "", reply.text) for reply in calls)


def _introspected(asker: Asker, *arguments: str, warn: Warn = lambda _: None) -> Any:
    python = asker.python()
    if python is None:
        return None
    script = Path(introspect.__file__)
    reply = asker.call(python, "-B", str(script), str(asker.path), *arguments, show=(script,))
    if reply.problem:
        warn(f"the parser of {asker.name} {reply.problem}: what it says for `--help` is read instead")
    try:
        return json.loads(reply.text.rpartition("\n")[2])
    except ValueError:
        return None


def _by_parser(asker: Asker, choice: CommandChoice, warn: Warn) -> Program | None:
    found = _introspected(asker, warn=warn)
    try:
        commands = [_parsed_command(item) for item in found["commands"]] if isinstance(found, dict) else []
        if not commands:
            return None
        if len(commands) > 1:
            commands = [command for command in commands if command.words and (command.options or command.description)]
        names = tuple(" ".join(command.words) for command in commands if command.words)
        chosen = [command for command in commands if command.words in choice.commands] if choice.commands else commands
        ranked = sorted(chosen, key=lambda command: (len(command.words), _idle(command.words)))  # the order stays else
        kept = tuple(ranked if choice.commands else ranked[: choice.most])
        return Program(name=asker.name, description=found["text"], source=found["source"], commands=kept, names=names)
    except (ValidationError, KeyError, TypeError, AttributeError):
        return None


def _parsed_command(found: dict[str, Any]) -> Command:
    options = [option for item in found["options"] if (option := _parsed_option(item)) is not None]
    exclusions = []
    for group in found["exclusions"]:
        members = [option.name for item in group["members"] if (option := _parsed_option(item)) is not None]
        if len(members) > 1:
            exclusions.append(Exclusion(names=tuple(members), required=group["required"]))
    text = re.sub(r"^(?:\[[A-Za-z]+\] |[^\w\[(]+)+", "", found["description"])  # emoji, `[Beta]`
    return Command(
        words=tuple(found["words"]),
        description=re.split(r"(?<=[a-z)])\. ", text)[0].rstrip("."),
        options=distinct(tuple(options)),
        exclusions=tuple(exclusions),
    )


def _parsed_option(found: dict[str, Any]) -> Option | None:
    """Return an option; None for help and version, and for one that takes several words at once."""
    names = [name for name in found["names"] if name.startswith("-")]
    if found.pop("words", 1) != 1 or {"--help", "--version"} & set(names) or names == ["-h"]:
        return None
    many = found["many"] and not found.pop("list", False)  # each `--names a --names b` would replace the one before
    text = re.split(r"(?<=[a-z)])\. (?=[A-Z`'(])", found["description"])[0].rstrip(".")
    negated = found.pop("no", [])
    if negated and found["default"] is True:  # only the other side of the switch changes anything
        off = one_side(text, off=True)
        said = f"do not {plain}" if (plain := imperative(text)) else ""
        names, text = negated, off if off != text else said
    elif negated and not names:
        names = negated
    text = one_side(text, off=False)
    found["default"] = None if found["value"] == "none" else found["default"]
    found = {key: value for key, value in found.items() if key != "list"}
    return Option.model_validate({**found, "names": names, "many": many, "description": text})


def _by_help(asker: Asker, choice: CommandChoice) -> Program:
    root = _help(asker, ())
    root.commands.pop(asker.name, None)  # a line of its synopsis
    queue: list[tuple[str, ...]] = [(word,) for word in root.commands] if not choice.commands else list(choice.commands)
    texts: dict[tuple[str, ...], str] = {(word,): text for word, text in root.commands.items()}
    names = tuple(root.commands)
    commands: list[Command] = []
    queue.sort(key=_idle)
    ahead = queue if choice.commands else queue[: choice.most]
    asker.side_by_side(lambda words: _help(asker, words), ahead)  # the asker remembers what they said
    while queue and (len(commands) < choice.most or choice.commands):
        words = queue.pop(0)
        found = _help(asker, words)
        outer = _help(asker, words[:-1]) if len(words) > 1 else root
        if found.commands and found.commands == outer.commands:  # systemctl, `npm cache`: one help for all
            found = _part(outer, (asker.name, *words))
        inner = {} if words in choice.commands and found.options else found.commands
        below = [(*words, name) for name in inner if name not in words and len(words) < _DEPTH]
        texts |= {(*words, name): found.commands[name] for name in found.commands}
        if below and words not in choice.commands:
            queue += below
            continue
        if words[0] not in names and (found.options == root.options or not (found.options or found.usage)):
            continue  # it is no subcommand: the program says the same without it
        command = found.command(asker.name, words)
        described = texts.get(words) or command.description or _manual(asker, words).description
        commands.append(command.model_copy(update={"description": described}))
    if not names and not choice.commands:
        commands = [root.command(asker.name, ())]
    return Program(name=asker.name, description=root.description, commands=tuple(commands), names=names)


def _part(outer: Help, line: tuple[str, ...]) -> Help:
    """Return what a help for several subcommands says of one: its usage lines, or its row."""
    size = len(line)
    forms = [(text.split(), [part.strip("()").split("|") for part in text.split()]) for text in outer.usage]
    usage = [
        " ".join((*line, *words[size:]))
        for words, choices in forms
        if len(words) >= size and all(word in listed for word, listed in zip(line, choices, strict=False))
    ]
    nexts = [word for text in usage for part in text.split()[size : size + 1] for word in part.strip("()").split("|")]
    names = [word for word in nexts if re.fullmatch(r"[a-z][a-z-]+", word)]
    flags = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", " ".join(usage)))
    is_told = bool(usage) and any(re.search(r"[\[| ]--?[a-z]", text) for text in outer.usage)  # `list [--json]`
    options = [option for option in outer.options if flags.intersection(option.names)] if is_told else outer.options
    rows = usage or [outer.rows.get(line[-1], "")]
    return replace(outer, description="", usage=rows, commands=dict.fromkeys(names, ""), exclusions=[], options=options)


def _idle(words: tuple[str, ...]) -> bool:
    return words[:1] != () and words[0] in _IDLE


def _help(asker: Asker, words: tuple[str, ...]) -> Help:
    """Return what a command says of itself: by --help, else by -h, and by man what they leave open."""
    found = Help()
    for word in ("--help", "-h"):
        reply = asker.ask(*words, word)
        if is_manual(reply.text):
            continue
        read = read_help(reply.text)
        if len(read.options) + len(read.commands) > len(found.options) + len(found.commands):
            found = read
        if found.options or found.commands:
            break
    silent = sum(not option.description for option in found.options)
    if silent * 4 > len(found.options) or not (found.options or found.commands) or not words:
        found = _completed(found, _manual(asker, words))
    return found


def _manual(asker: Asker, words: tuple[str, ...]) -> Help:
    """Return what the manual page of a command says; nothing where there is none."""
    manual = shutil.which("man")
    reply = asker.call(manual, "-".join((asker.name, *words))) if manual is not None else None
    return read_help(reply.text) if reply is not None and is_manual(reply.text) else Help()


def _completed(found: Help, manual: Help) -> Help:
    """Return a help text with what only the manual page says."""
    described = {name: option for option in manual.options for name in option.names}
    options = [
        option
        if option.description or option.flag not in described
        else described[option.flag]
        if option.value == "none"
        else option.model_copy(update={"description": described[option.flag].description})
        for option in found.options
    ]
    return replace(
        found,
        options=options or manual.options,
        description=found.description or manual.description,
        usage=found.usage or manual.usage,
        examples=found.examples or manual.examples,
    )


def _with_examples(program: Program) -> Program:
    """Add the examples of tldr pages, where a client of tldr keeps them here."""
    commands = []
    for command in program.commands:
        examples = (*command.examples, *tldr_examples("-".join((program.name, *command.words))))
        commands.append(command.model_copy(update={"examples": examples}))
    return program.model_copy(update={"commands": tuple(commands)})

"""Turns the words of a command back into the arguments of a tool: what ``fill_argv`` would have made them of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from skillpm.contract.argv import fill_argv
from skillpm.contract.contract import Contract
from skillpm.contract.grammar import CommandError
from skillpm.errors import DocumentError
from skillpm.model.contract import ArgvPart, CommandLine, Part, Tool
from skillpm.model.json_schema import branches, types_of

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


def calls_of(
    contract: Contract, text: str, words: Sequence[str], usual: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Return the calls that stand for a command, completed; empty where no tool of the contract makes it.

    Args:
        contract: whose tools.
        text: the command as it was typed.
        words: its words, without a shell; empty where a shell would read more than words in it.
        usual: by tool, the values of required arguments that are no part of the command, such as a time limit.
    """
    calls: list[dict[str, Any]] = []
    for tool in contract.tools.values():
        if isinstance(tool.argv, CommandLine):
            arguments: dict[str, Any] | None = {tool.argv.command_line: text}
        else:
            arguments = None if tool.argv is None or not words else _arguments(tool, tool.argv, words)
        if arguments is None:
            continue
        outside = tool.required - tool.argv_arguments
        known = {name: value for name, value in usual.get(tool.name, {}).items() if name in outside}
        try:
            call = contract.complete({"tool": tool.name, "args": known | arguments})
        except DocumentError:
            continue
        if isinstance(tool.argv, CommandLine) or _made_again(tool, call["args"], arguments):
            calls.append(call)
    return calls


def _made_again(tool: Tool, completed: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Do the arguments make words that are read as the same arguments?"""
    assert tool.argv is not None and not isinstance(tool.argv, CommandLine)
    try:
        (again,) = fill_argv(tool.argv, dict(completed))
    except CommandError:
        return False
    return _arguments(tool, tool.argv, again) == arguments


def _arguments(tool: Tool, parts: Sequence[Part], words: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments that the words of a command name, or None where a word has no place."""
    options = {part.flag: part for part in parts if isinstance(part, ArgvPart) and part.flag is not None}
    arguments: dict[str, Any] = {}
    operands: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            operands += [word, *rest]
            break
        part, value = _option(word, options)
        if part is None:
            if word.startswith("-") and not _NUMBER.fullmatch(word):
                return None
            operands.append(word)
        elif part.value is None:
            if value is not None:
                return None
            arguments |= {part.condition: True} if part.condition else dict(part.when or {})
        else:
            if value is None and not rest:
                return None
            _add(tool, arguments, part, rest.pop(0) if value is None else value)
    return arguments if _placed(tool, parts, operands, arguments) else None


def _option(word: str, options: Mapping[str, ArgvPart]) -> tuple[ArgvPart | None, str | None]:
    """Return the option in a word, and the value that is attached to it."""
    if word in options:
        return options[word], None
    flag, equals, value = word.partition("=")
    for name in (flag, f"{flag}=") if equals else ():
        if name in options:
            return options[name], value
    short = word[:2]
    if not word.startswith("--") and short in options and options[short].value is not None:
        return options[short], word[2:]
    return None, None


def _placed(tool: Tool, parts: Sequence[Part], operands: list[str], arguments: dict[str, Any]) -> bool:
    """Give the other words to the literals and the values of an argv, in their order; do all find a place?"""
    for part in parts:
        if isinstance(part, str):
            if not operands and part == "--":
                continue
            if not operands or operands.pop(0) != part:
                return False
        elif part.flag is None and part.value is not None:
            is_list = "array" in _types(tool, part.value)
            taken, operands[:] = (operands[:], []) if is_list else (operands[:1], operands[1:])
            for word in taken:
                _add(tool, arguments, part, word)
    return not operands


def _add(tool: Tool, arguments: dict[str, Any], part: ArgvPart, word: str) -> None:
    name = part.value or ""
    if "array" not in _types(tool, name):
        arguments[name] = _typed(word, _types(tool, name))
        return
    items = tool.properties[name].get("items")
    types = types_of(branches([items], tool.input_schema)) if isinstance(items, dict) else set()
    words = word.split(part.join) if part.join else [word]
    arguments[name] = [*arguments.get(name, []), *(_typed(text, types) for text in words)]


def _types(tool: Tool, name: str) -> set[str]:
    return types_of(branches([tool.properties[name]], tool.input_schema))


def _typed(word: str, types: set[str]) -> Any:
    if types & {"integer", "number"} and _NUMBER.fullmatch(word):
        return json.loads(word)
    return word

"""Turns an answer into the argv that an executor runs, one list for each command. No shell is involved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skillpm.contract.command import Argv
from skillpm.contract.grammar import CommandError
from skillpm.model.contract import ArgvPart, Part

_EXACT_FLOATS = 2.0**53  # above this, one float stands for several integers


def fill_argv(parts: Sequence[Part], arguments: dict[str, Any]) -> Argv:
    """Fill the pieces of a tool's argv with the values of its arguments.

    Args:
        parts: the pieces.
        arguments: arguments that are valid against the tool's schema.

    Raises:
        CommandError: a value would be read as an option, or cannot be a word.
    """
    words: list[str] = []
    for part in parts:
        if isinstance(part, str):
            words.append(part)
        elif _stands(part, arguments):
            # an attached value cannot be read as an option, and neither can any word after `--`
            words += _part_words(part, arguments, dash=part.attached or "--" in words)
    return (tuple(words),)


def fills_by_argument(parts: Sequence[Part]) -> bool:
    """Is each value a word or refused whatever the other arguments are?

    Not where another argument decides if it stands there, nor where a value may be the ``--`` before another.
    """
    return not any(
        isinstance(part, ArgvPart)
        and (part.flag in ("-", "--") or (part.value is not None and (part.condition or part.when)))
        for part in parts
    )


def _stands(part: ArgvPart, arguments: dict[str, Any]) -> bool:
    """Do the conditions of a piece hold, and does it have a value if it takes one?"""
    if part.condition is not None and not arguments[part.condition]:
        return False
    if part.when is not None and any(arguments[name] != value for name, value in part.when.items()):
        return False
    return part.value is None or arguments[part.value] is not None


def _part_words(part: ArgvPart, arguments: dict[str, Any], *, dash: bool) -> list[str]:
    if part.value is None:
        return [part.flag or ""]
    value = arguments[part.value]
    if not isinstance(value, list):
        return _flagged(part, _word(part.value, value, dash=dash))
    texts = [_word(part.value, item, dash=dash) for item in value]
    if part.join is not None and texts:
        texts = [part.join.join(texts)]
    return [word for text in texts for word in _flagged(part, text)]


def _flagged(part: ArgvPart, text: str) -> list[str]:
    if part.flag is None:
        return [text]
    if not part.attached:
        return [part.flag, text]
    return [f"{part.flag}={text}" if part.flag.startswith("--") else f"{part.flag}{text}"]


def _word(name: str, value: Any, *, dash: bool) -> str:
    if isinstance(value, str):
        if not value or not value.isprintable():
            raise CommandError(f"`{name}` must not be empty or contain control characters")
        if value.startswith("-") and not dash:
            raise CommandError(f"`{name}` must not start with `-`")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandError(f"`{name}` cannot be a word of a command")
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOATS:
        value = int(value)  # 8123.0, where numbers are allowed, is the same value as 8123
    return str(value)

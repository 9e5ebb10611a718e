"""From an answer to the argv that an executor runs, one list for each command. No shell is ever involved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skillpm.contract.command import Argv
from skillpm.contract.grammar import CommandError
from skillpm.model.contract import ArgvPart, Part

_EXACT_FLOATS = 2.0**53  # above, a float is not one integer alone


def fill_argv(parts: Sequence[Part], arguments: dict[str, Any]) -> Argv:
    """Fill the pieces of a tool's argv with the values of its arguments.

    Args:
        parts: of the tool.
        arguments: valid against the tool's schema.

    Raises:
        CommandError: a value that would be read as an option, or that no word can hold.
    """
    words: list[str] = []
    for part in parts:
        words.extend([part] if isinstance(part, str) else _part_words(part, arguments, after_options="--" in words))
    return (tuple(words),)


def _part_words(part: ArgvPart, arguments: dict[str, Any], *, after_options: bool) -> list[str]:
    if part.condition is not None and not arguments[part.condition]:
        return []
    if any(arguments[name] != value for name, value in (part.when or {}).items()):
        return []
    if part.value is None:
        return [] if part.flag is None else [part.flag]
    value = arguments[part.value]
    items = value if isinstance(value, list) else [] if value is None else [value]
    dash = part.attached or after_options
    texts = [_word(part.value, item, dash=dash) for item in items]
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
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CommandError(f"`{name}` cannot be put on a command line")
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOATS:
        value = int(value)  # 8123.0, where numbers are allowed, is the same value as 8123
    text = str(value)
    if isinstance(value, str) and (not text or not text.isprintable()):
        raise CommandError(f"`{name}` may not be empty or hold control characters")
    if isinstance(value, str) and text.startswith("-") and not dash:
        raise CommandError(f"`{name}` may not start with `-`")
    return text

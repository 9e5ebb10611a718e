"""What strict documents are made of: YAML's values with their lines, and JSON as strictly as RFC 8259 allows.

In JSON duplicate keys are errors, and so is what RFC 8259 does not know. ``formats.strict_yaml`` reads the YAML; what
reads none does not import its parser, which takes as long as a short command.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from skillpm.errors import DocumentError

_SAID = {
    "Expecting value": "a value is missing",
    "Expecting property name": "a key in double quotes is missing",
    "Expecting ':' delimiter": "a `:` is missing",
    "Expecting ',' delimiter": "a `,` is missing",
    "Unterminated string": "a text without its closing quote begins",
    "Invalid control character": "a text has a line break or another control character",
    "Invalid \\": "a text has an unknown escape",
    "Illegal trailing comma": "a `,` has nothing after it",
    "Extra data": "the value has ended, and more follows",
}  # what Python's decoder says begins so
MAX_DEPTH = 128  # levels of JSON: whoever walks a value calls itself up to three times for each
_DIGITS = 300  # a number with fewer is a finite float


class PlainScalar(str):
    """An unquoted YAML scalar: text, until a ``Json`` field gives it a type."""

    __slots__ = ()


class Table(dict[str, Any]):
    """A YAML mapping that remembers the line of each key."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A YAML sequence that remembers the line of each item."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key `{key[:80]}`")
            seen.add(key)
    return table


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def finite(text: str) -> float:
    """Return the float nearest to a number. Raises ValueError where that is infinite, or zero for what is none."""
    number = float(text)
    is_zero = not text.lower().partition("e")[0].strip("+-0.")
    if not math.isfinite(number) or (number == 0 and not is_zero):
        raise ValueError(f"{text[:40]} is out of range")
    return number


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        finite(text)
    return int(text)


class _Decoder(json.JSONDecoder):
    """Python's decoder, which raises RecursionError for what is nested more deeply than ``MAX_DEPTH``, too."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        """Return the value that begins at a place, and where it ends."""
        value, end = super().raw_decode(s, idx)
        if s.count("{", idx, end) + s.count("[", idx, end) > MAX_DEPTH and _is_deep(value):
            raise RecursionError
        return value, end


def _is_deep(value: Any) -> bool:
    """Is a value nested more deeply than ``MAX_DEPTH``? Looked at level by level, since a walk would recurse."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


STRICT_DECODER = _Decoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=finite, parse_int=_whole
)


class NotJsonError(ValueError):
    """A text is not JSON; ``line`` says where, counted from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def strict_json(text: str) -> Any:
    """Parse JSON, refusing duplicate keys, NaN, infinities and numbers out of range (RFC 8259, RFC 7493).

    Raises:
        ValueError: with the reason, and its place where the text is not JSON.
    """
    try:
        return STRICT_DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _problem(error) from None


def read_json(text: str, *, path: str = "", line: int | None = None, hint: str | None = None) -> Any:
    """Parse JSON as ``strict_json`` does, for a file that a person named or wrote. Raises DocumentError."""
    try:
        return strict_json(text)
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}", path=path, line=line, hint=hint) from None


def json_object(source: str | bytes | Path) -> dict[str, Any]:
    """Return the JSON object in a text or a file that others write; an empty one where it is none or is not there."""
    try:
        value = json.loads(source.read_bytes() if isinstance(source, Path) else source)
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def syntax_words(message: str) -> str:
    """Return what is wrong in a text, out of the message of a JSONDecodeError."""
    return next((words for begin, words in _SAID.items() if message.startswith(begin)), message)


def _problem(error: json.JSONDecodeError) -> NotJsonError:
    text = error.doc.rstrip()
    last = text.count("\n") + 1
    if not text:
        return NotJsonError("the text is empty", 1)
    if error.pos >= len(text):
        return NotJsonError(f"the text ends in the middle{f', at line {last}' if last > 1 else ''}", last)
    words = "a byte order mark is in front" if text[0] == "\ufeff" else syntax_words(error.msg)
    line = f"line {error.lineno}, " if last > 1 else ""
    return NotJsonError(f"{words} at {line}column {error.colno}", error.lineno)

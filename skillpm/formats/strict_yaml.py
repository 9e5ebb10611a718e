"""Strict YAML with line numbers: how the text of every document that people write is read, without any model.

Scalars arrive as text, so ``version: 1.10`` stays "1.10" and ``no`` stays "no". Duplicate keys, anchors, tags, non-text
keys and deep nesting are errors with a line.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from skillpm.errors import DocumentError
from skillpm.formats.strict import Items, PlainScalar, Table

MAX_DOCUMENT = 1 << 20  # bytes of one YAML document
MAX_DEPTH = 32  # levels of nesting

# Clients read YAML 1.2, where these are characters; in libyaml's YAML 1.1 they end a line. So they pass as others.
_NO_BREAKS = {0x85: 0xF0085, 0x2028: 0xF2028, 0x2029: 0xF2029}
_BREAKS = {other: character for character, other in _NO_BREAKS.items()}
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)  # as JSON has it

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_QUOTES = "put a text that has `: ` in it, or begins with a mark such as `{`, `[`, `*` or `%`, into quotes"


def read_yaml(text: str, *, path: str = "", first_line: int = 1) -> Any:
    """Parse one strict YAML document, which begins on ``first_line``, into Tables, Items and PlainScalars.

    Raises:
        DocumentError: with path and line.
    """
    offset = first_line
    if len(text) > MAX_DOCUMENT:
        raise DocumentError(f"larger than {MAX_DOCUMENT} characters", path=path)
    if any(chr(character) in text for character in _NO_BREAKS):
        text = text.translate(_NO_BREAKS)
    try:
        loader = _Loader(text)
        try:
            node = _events(loader, path, offset)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "malformed"
        if "Unicode character escape" in problem and _PAIR.search(text):
            return read_yaml(_PAIR.sub(_joined, text), path=path, first_line=first_line)
        hint = "indent with spaces" if "tab character" in problem else _QUOTES
        line = mark.line + offset if mark else None
        raise DocumentError(f"not YAML: {problem}", path=path, line=line, hint=hint) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DocumentError(f"not YAML: {reason}", path=path) from None
    return node


def _joined(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08X}"


def _events(loader: Any, path: str, offset: int) -> Any:
    loader.get_event()
    if loader.check_event(yaml.StreamEndEvent):
        return None
    loader.get_event()
    value = _value(loader, path, offset, 0)
    loader.get_event()
    if not loader.check_event(yaml.StreamEndEvent):
        event = loader.peek_event()
        raise DocumentError("more than one YAML document", path=path, line=event.start_mark.line + offset)
    return value


def _value(loader: Any, path: str, offset: int, depth: int) -> Any:
    event = loader.get_event()
    line = event.start_mark.line + offset
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise DocumentError("YAML anchors and aliases are not allowed", path=path, line=line)
    if depth > MAX_DEPTH:
        raise DocumentError(f"nested deeper than {MAX_DEPTH} levels", path=path, line=line)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, path, line)
    if event.tag is not None and event.tag != "!":
        raise DocumentError(f"YAML tag {event.tag} is not allowed", path=path, line=line)
    if isinstance(event, yaml.SequenceStartEvent):
        items = Items()
        while not loader.check_event(yaml.SequenceEndEvent):
            items.lines.append(loader.peek_event().start_mark.line + offset)
            items.append(_value(loader, path, offset, depth + 1))
        loader.get_event()
        return items
    table = Table()
    while not loader.check_event(yaml.MappingEndEvent):
        key_line = loader.peek_event().start_mark.line + offset
        key = _value(loader, path, offset, depth + 1)
        if not isinstance(key, str):
            raise DocumentError("keys must be text", path=path, line=key_line)
        if key in table:
            raise DocumentError(f"duplicate key `{key}`", path=path, line=key_line)
        table[str(key)] = _value(loader, path, offset, depth + 1)
        table.lines[str(key)] = key_line
    loader.get_event()
    return table


def _scalar(event: Any, path: str, line: int) -> str | None:
    if event.tag is not None and event.tag not in ("!", "tag:yaml.org,2002:str"):
        raise DocumentError(f"YAML tag {event.tag} is not allowed", path=path, line=line)
    value = event.value if event.value.isascii() else event.value.translate(_BREAKS)
    if not event.style and event.tag is None:
        return None if value in ("", "~", "null", "Null", "NULL") else PlainScalar(value)
    return str(value)

"""JSON with one key a line, to the letter as ``json.dumps(value, indent=…, sort_keys=True)`` writes it, but faster.

``json`` leaves its C code as soon as it shall indent; a lock of 1,000 skills then takes as long as copying them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any


def json_text(value: Any, indent: int, *, ensure_ascii: bool = False) -> str:
    """Return the text of what JSON can hold; every key is a text."""
    return _text(value, "\n", " " * indent, encode_basestring_ascii if ensure_ascii else encode_basestring)


def _text(value: Any, line: str, step: str, quoted: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return quoted(value)
    if not isinstance(value, (dict, list, tuple)):
        return json.dumps(value)
    begin, end = "{}" if isinstance(value, dict) else "[]"
    if not value:
        return begin + end
    inner = line + step
    if isinstance(value, dict):
        parts = [f"{quoted(key)}: {_text(item, inner, step, quoted)}" for key, item in sorted(value.items())]
    else:
        parts = [_text(item, inner, step, quoted) for item in value]
    return f"{begin}{inner}{f',{inner}'.join(parts)}{line}{end}"

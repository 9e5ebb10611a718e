"""A place inside a JSON value: the keys and the numbers of items that lead to it."""

from __future__ import annotations

from typing import Any

Path = tuple[str | int, ...]


def value_at(value: Any, path: Path) -> Any:
    """Return what stands at a place. Raises LookupError if there is no such place."""
    for step in path:
        value = value[step]
    return value


def with_value(value: Any, path: Path, leaf: Any) -> Any:
    """Return a copy with another value at one place; the path leads through what the value has."""
    if not path:
        return leaf
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], leaf)
    return copy

"""The key that was meant where a document has one that its model does not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

_NEAR = 0.6  # of difflib's ratio: a slip or two in a short word


def near_key(model: type[BaseModel], root: Any, location: tuple[int | str, ...]) -> str | None:
    """Return a hint for an unknown key, or None.

    The model at the key's place is taken to be the one that has most of the keys beside it. ``location`` is that of the
    unknown key in the read document, as pydantic has it.
    """
    key = str(location[-1])
    beside = set(_beside(root, location))
    tables = sorted(_tables(model), key=lambda names: len(beside & names), reverse=True)
    if any(key in names for names in tables):
        return f"`{key[:80]}` is a key of another place in this document"
    for names in tables:
        near = difflib.get_close_matches(key.lower(), sorted(names), 1, _NEAR)
        if near:
            return f"did you mean `{near[0]}`?"
        if beside & names:
            break
    return None


def _beside(root: Any, location: tuple[int | str, ...]) -> Iterator[str]:
    node = root
    for step in location[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):  # the step of a union, which the document does not have
            continue
    yield from (str(key) for key in node if key != location[-1]) if isinstance(node, dict) else ()


@cache
def _tables(model: type[BaseModel]) -> tuple[frozenset[str], ...]:
    """Return the keys of a model and of each model inside it."""
    seen: dict[type[BaseModel], frozenset[str]] = {}
    pending = [model]
    while pending:
        table = pending.pop()
        if table not in seen:
            seen[table] = frozenset(field.alias or name for name, field in table.model_fields.items())
            pending += [inner for field in table.model_fields.values() for inner in _models(field.annotation)]
    return tuple(seen.values())


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)

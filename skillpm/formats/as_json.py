"""The form in which ``--json`` prints a result: what its fields say, in JSON's own types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import chain, islice
from pathlib import PurePath
from typing import Any

_PIECES = 1 << 14  # of json's, such as a key or a number, that are written together


class StreamedArray(list[Any]):
    """An array whose items are made while ``written`` writes them, so it can be written once.

    json writes lists alone, and asks one whether it is empty before it reads it.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        self._rest = iter(items)
        super().__init__(islice(self._rest, 1))

    def __iter__(self) -> Iterator[Any]:
        return map(_form, chain(super().__iter__(), self._rest))


def written(value: Any) -> Iterator[str]:
    """Yield the indented JSON text of a value of ``as_json`` in pieces."""
    encoder = json.JSONEncoder(ensure_ascii=True, indent=2, default=str, allow_nan=False)
    pieces = encoder.iterencode(value)
    while piece := "".join(islice(pieces, _PIECES)):
        yield piece


def as_json(value: Any, **more: Any) -> Any:
    """Return a value as JSON: dataclasses and mappings as objects, sequences and sets as arrays, paths as text.

    A value that has a ``document`` method decides its own form, and one with ``json_keys`` names its attributes that
    are shown. Documents (pydantic models) are dumped in JSON mode.
    ``more`` adds keys to an object, for what a value computes instead of stores.
    """
    form = _form(value)
    return {**form, **_form(more)} if more else form


def _form(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, StreamedArray)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (str, PurePath)):
        return str(value)
    if hasattr(value, "document"):
        return _form(value.document())
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        names = getattr(value, "json_keys", None) or [field.name for field in fields(value)]
        return {name: _form(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _form(item) for key, item in value.items()}
    return [_form(item) for item in value]

"""The form in which ``--json`` prints a result: what its fields say, in JSON's own types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any


def as_json(value: Any, **more: Any) -> Any:
    """Return a value as JSON: dataclasses and mappings as objects, sequences and sets as arrays, paths as text.

    A value that has a ``document`` method decides its own form, and one with ``json_keys`` names its attributes that
    are shown. Documents (pydantic models) are dumped in JSON mode.
    ``more`` adds keys to an object, for what a value computes instead of stores.
    """
    form = _form(value)
    return {**form, **_form(more)} if more else form


def _form(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
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

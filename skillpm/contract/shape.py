"""Objects inside arguments: null and absent mean the same, and 8123.0 is not an integer.

JSON Schema says otherwise: ``{"a": null}`` and ``{}`` are different instances, and 8123.0 is an integer (2020-12,
6.1.1). A program refuses ``--port 8123.0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from skillpm.formats.json_place import Path, value_at, with_value
from skillpm.model.json_schema import branches

_MAX_FLOATS = 64  # whole numbers written with a fraction that are looked at one by one
_NO_FRACTIONS = 2.0**52  # every float from here on is an integer

_SCALARS = frozenset({str, int, float, bool, type(None)})


class Shape:
    """The objects inside arguments, as a schema describes them.

    Args:
        schema: the schema of all arguments; ``$ref`` points inside it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._literals = {value for value in _scalars(schema) if isinstance(value, float)}

    def completed(self, value: Any, schema: Any) -> Any:
        """Return a value with null for every absent optional property of its objects."""
        return self._walk(value, schema, self._complete)

    def stripped(self, value: Any, schema: Any) -> Any:
        """Return a value without the null optional properties of its objects, as a schema expects it."""
        return self._walk(value, schema, self._strip)

    def _walk(self, value: Any, schema: Any, change: Callable[..., dict[str, Any]]) -> Any:
        if isinstance(value, dict):
            objects = branches([schema], self._root)
            inner = {name: self._walk(item, _property(objects, name), change) for name, item in value.items()}
            return change(inner, objects)
        if isinstance(value, list):
            lists = branches([schema], self._root)
            return [self._walk(item, _item(lists, place), change) for place, item in enumerate(value)]
        return value

    def _complete(self, value: dict[str, Any], objects: list[Mapping[str, Any]]) -> dict[str, Any]:
        forms = [schema["properties"] for schema in objects if "properties" in schema]
        if len(forms) != 1:  # an object that may have several forms does not say which of them lacks a property
            return value
        optional = _optional(objects)
        known = {name: value.get(name) for name in forms[0] if name in value or name in optional}
        return known | value

    def _strip(self, value: dict[str, Any], objects: list[Mapping[str, Any]]) -> dict[str, Any]:
        optional = _optional(objects)
        return {name: item for name, item in value.items() if item is not None or name not in optional}

    def fraction_for_integer(self, value: Any, is_valid: Callable[[Any], bool]) -> Path | None:
        """Return the place of a float such as 8123.0 where the schema admits only integers, or None.

        Args:
            value: a valid value.
            is_valid: validates a value with the same schema.
        """
        # The place cannot be looked up: `anyOf`, `$ref` and `if` decide together what it admits. So the validator is
        # asked about fractions near the number. A place that admits fractions admits at least one of them, whatever its
        # bounds; a place that admits only integers admits none. Numbers that the author lists as they are
        # (`enum: [1.0]`) are not looked at.
        places = [place for place in _whole_floats(value, ()) if value_at(value, place) not in self._literals]
        if not places:
            return None
        for place in places[:_MAX_FLOATS]:
            fractions = _fractions_near(value_at(value, place))
            if not any(is_valid(with_value(value, place, fraction)) for fraction in fractions):
                return place
        return places[_MAX_FLOATS] if len(places) > _MAX_FLOATS else None


def _fractions_near(number: float) -> tuple[float, ...]:
    """Return floats that are no integers. Beyond 2**52 there are none, so those below it of the same sign stand in."""
    if abs(number) < _NO_FRACTIONS:
        return number + 0.5, number - 0.5, math.nextafter(number, math.inf), math.nextafter(number, -math.inf)
    return tuple(math.copysign(fraction, number) for fraction in (_NO_FRACTIONS - 0.5, 1e9 + 0.5, 1e3 + 0.5, 0.5))


def same_value(left: Any, right: Any) -> bool:
    """Are two JSON values equal? Unlike Python, true is not 1."""
    # Nearly all arguments are two scalars of one type, so that comes first. Booleans come before other comparisons:
    # Python has True == 1, and an answer of 1 for true would pass. 1 and 1.0 are one number in JSON; the last line has
    # them equal.
    kind = type(left)
    if kind is type(right) and kind in _SCALARS:
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    return bool(left == right)


def _property(objects: list[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return one schema for everything that is said about a property."""
    schemas = [schema["properties"][name] for schema in objects if name in schema.get("properties", {})]
    return {"allOf": schemas or [schema.get("additionalProperties") for schema in objects]}


def _item(lists: list[Mapping[str, Any]], place: int) -> dict[str, Any]:
    """Return one schema for everything that is said about an item of a list."""
    schemas = []
    for schema in lists:
        prefix = schema.get("prefixItems", [])
        schemas.append(prefix[place] if place < len(prefix) else schema.get("items"))
    return {"allOf": schemas}


def _required(objects: list[Mapping[str, Any]]) -> set[str]:
    return {name for schema in objects for name in schema.get("required", ()) if isinstance(name, str)}


def _optional(objects: list[Mapping[str, Any]]) -> set[str]:
    return {name for schema in objects for name in schema.get("properties", {})} - _required(objects)


def _whole_floats(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, float) and value.is_integer():
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _whole_floats(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _whole_floats(item, (*path, place))


def _scalars(schema: Any) -> Iterator[Any]:
    """Yield the values of ``enum`` and ``const`` at any depth; they are admitted as the author wrote them."""
    if isinstance(schema, list):
        for item in schema:
            yield from _scalars(item)
    elif isinstance(schema, dict):
        for key, item in schema.items():
            if key in ("enum", "const"):
                yield from item if isinstance(item, list) else [item]
            yield from _scalars(item)

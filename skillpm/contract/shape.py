"""Objects inside arguments: null and absent mean the same, and 8123.0 is not an integer.

JSON Schema says otherwise: ``{"a": null}`` and ``{}`` are different instances, and 8123.0 is an integer (2020-12,
6.1.1). A program refuses ``--port 8123.0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import islice, zip_longest
from typing import Any

from skillpm.contract.validator import matches
from skillpm.formats.json_place import Path, value_at
from skillpm.model.json_schema import anchors_of, branches, types_of

_MAX_GROUPS = 64  # of whole numbers written with a fraction that are looked at in one answer
_MAX_STEPS = 8  # of `multipleOf` that are tried
_MAX_KNOWN = 1 << 10  # places of a schema whose branches are kept
_DIGITS = 800  # of a float, or of the fraction next to one, are fewer
_NO_FRACTIONS = 2.0**52  # every float from here on is an integer

_SCALARS = frozenset({str, int, float, bool, type(None)})
_Schemas = Sequence[Any]  # all that is said of one value


class Shape:
    """The objects inside arguments, as a schema describes them.

    Args:
        schema: the schema of all arguments; ``$ref`` points inside it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._anchors = anchors_of(schema)
        self._known: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
        self._floats = {number for key, number in _floats(schema) if key != "multipleOf"}
        steps = (number for key, number in _floats(schema) if key == "multipleOf")
        self._steps = [Fraction(str(step)) for step in islice(steps, _MAX_STEPS) if not step.is_integer()]

    def completed(self, value: Any, schema: Any) -> Any:
        """Return a value with null for every absent optional property of its objects.

        An object that may have several forms does not say which of them lacks a property. So what only some of the
        forms have is left out where it is null.
        """
        return self._walk(value, [schema], self._complete)

    def stripped(self, value: Any, schema: Any) -> Any:
        """Return a value without the null optional properties of its objects, as a schema expects it."""
        return self._walk(value, [schema], self._strip)

    def _walk(self, value: Any, schemas: _Schemas, change: Callable[[dict[str, Any], _Schemas], Any]) -> Any:
        if isinstance(value, dict):
            around = self._branches(schemas)
            return change({key: self._walk(item, _inner(around, key), change) for key, item in value.items()}, schemas)
        if isinstance(value, list):
            around = self._branches(schemas)
            return [self._walk(item, _inner(around, place), change) for place, item in enumerate(value)]
        return value

    def _branches(self, schemas: _Schemas, *, alternatives: bool = True) -> list[Mapping[str, Any]]:
        key = (alternatives, *map(id, schemas))  # parts of the root, which are there as long as this is
        reached = self._known.get(key)
        if reached is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            reached = branches(schemas, self._root, anchors=self._anchors, alternatives=alternatives)
            self._known[key] = reached
        return reached

    def _complete(self, value: dict[str, Any], schemas: _Schemas) -> dict[str, Any]:
        objects = self._branches(schemas)
        forms = [schema["properties"] for schema in objects if "properties" in schema]
        if len(forms) > 1:
            certain = self._branches(schemas, alternatives=False)
            forms = [schema["properties"] for schema in certain if "properties" in schema]
        names = [name for form in forms for name in form if name in value or self._is_optional(objects, name)]
        return {name: value.get(name) for name in names} | self._strip(value, schemas)

    def _strip(self, value: dict[str, Any], schemas: _Schemas) -> dict[str, Any]:
        if None not in value.values():
            return value
        objects = self._branches(schemas)
        return {name: item for name, item in value.items() if item is not None or not self._is_optional(objects, name)}

    def _is_optional(self, objects: _Schemas, name: str) -> bool:
        """May a known property be absent? Where null is no value of it, null says absent and nothing else."""
        if not any(name in schema.get("properties", ()) for schema in objects):
            return False
        if not any(name in schema.get("required", ()) for schema in objects):
            return True
        types = types_of(self._branches(_inner(objects, name)))
        return bool(types) and "null" not in types

    def fraction_for_integer(self, value: Any, is_valid: Callable[[Any], bool]) -> Path | None:
        """Return the place of a float such as 8123.0 where the schema admits only integers, or None.

        Args:
            value: a valid value.
            is_valid: validates a value with the same schema.
        """
        # What a place admits cannot be looked up: `anyOf`, `$ref` and `if` decide it together. So the validator is
        # asked about fractions near the number. A place that admits fractions admits at least one of them, whatever its
        # bounds; a place that admits only integers admits none. All places are tried at once, and halved where one of
        # them is refused. Numbers that the author lists as they are (`enum: [1.0]`) are not looked at.
        places = [place for place in _whole_floats(value, ()) if not self._is_listed(value, place)]
        waiting = [places] if places else []
        for _ in range(_MAX_GROUPS):
            if not waiting:
                return None
            group = waiting.pop()
            if self._admits_fractions(value, group, is_valid):
                continue
            if len(group) == 1:
                return group[0]
            waiting += [group[len(group) // 2 :], group[: len(group) // 2]]
        return waiting[-1][0] if waiting else None

    def _admits_fractions(self, value: Any, places: list[Path], is_valid: Callable[[Any], bool]) -> bool:
        rows = [self._fractions_near(value_at(value, place)) for place in places]
        columns = zip_longest(*rows, fillvalue=0.5)
        return any(is_valid(_with_values(value, dict(zip(places, column, strict=True)), ())) for column in columns)

    def _fractions_near(self, number: float) -> list[float | Decimal]:
        """Return numbers that are no integers, of more digits than a float has where no float there is a fraction."""
        if abs(number) >= _NO_FRACTIONS:
            distances = (Decimal("0.5"), *(Decimal(step.numerator) / step.denominator for step in self._steps))
            with localcontext(prec=_DIGITS):
                return [Decimal(number) + sign * distance for distance in distances for sign in (1, -1)]
        nearest = math.nextafter(number, math.inf), math.nextafter(number, -math.inf)
        multiples = [float(Fraction(number) + sign * step) for step in self._steps for sign in (1, -1)]
        return [number + 0.5, number - 0.5, *nearest, *(near for near in multiples if not near.is_integer())]

    def _is_listed(self, value: Any, path: Path) -> bool:
        """Is the float at a place one of those that ``enum`` or ``const`` has there?"""
        number = value_at(value, path)
        if number not in self._floats:
            return False
        around = self._branches([self._root])
        members = [*_listed(around)]
        for step in path:
            around = self._branches(_inner(around, step))
            members = [*(member[step] for member in members if _has(member, step)), *_listed(around)]
        return any(isinstance(member, float) and member == number for member in members)


def same_value(left: Any, right: Any) -> bool:
    """Are two JSON values equal? Unlike Python, true is not 1."""
    # Nearly all arguments are two scalars of one type, so that comes first. Booleans come before other comparisons:
    # Python has True == 1, and an answer of 1 for true would pass. 1 and 1.0 are one number in JSON, as are 1e23 and
    # its decimals, which Python has apart: the float is not the number that is written.
    kind = type(left)
    if kind is type(right) and kind in _SCALARS:
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    one, other = exact_number(left), exact_number(right)
    return bool(left == right) if one is None or other is None else one == other


def exact_number(value: Any) -> Fraction | None:
    """Return a number exactly as it is written, 0.1 as one tenth; None for another value."""
    if isinstance(value, float):
        return Fraction(repr(value)) if math.isfinite(value) else None
    return Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _inner(around: _Schemas, step: str | int) -> list[Any]:
    """Return what schemas of an object say of a property, or what those of a list say of an item."""
    if isinstance(step, str):
        named = [schema["properties"][step] for schema in around if step in schema.get("properties", ())]
        patterns = ((key, held) for schema in around for key, held in schema.get("patternProperties", {}).items())
        named += [held for pattern, held in patterns if matches(pattern, step)]
        others = ("additionalProperties", "unevaluatedProperties")
        return named or [schema[key] for schema in around for key in others if key in schema]
    schemas = []
    for schema in around:
        prefix = schema.get("prefixItems", ())
        keys = ("contains",) if step < len(prefix) else ("items", "unevaluatedItems", "contains")
        schemas += [*prefix[step : step + 1], *(schema[key] for key in keys if key in schema)]
    return schemas


def _listed(schemas: _Schemas) -> Iterator[Any]:
    for schema in schemas:
        yield from schema.get("enum", ())
        if "const" in schema:
            yield schema["const"]


def _has(member: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(member, dict) and step in member
    return isinstance(member, list) and step < len(member)


def _with_values(value: Any, leaves: Mapping[Path, Any], path: Path) -> Any:
    """Return a copy with other values at some places."""
    if isinstance(value, dict):
        return {name: _with_values(item, leaves, (*path, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_values(item, leaves, (*path, place)) for place, item in enumerate(value)]
    return leaves.get(path, value)


def _whole_floats(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, float) and value.is_integer():
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _whole_floats(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _whole_floats(item, (*path, place))


def _floats(schema: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Yield the floats in a schema with the keyword, or another key, at which they stand."""
    if isinstance(schema, float):
        yield key, schema
    elif isinstance(schema, list):
        for item in schema:
            yield from _floats(item, key)
    elif isinstance(schema, dict):
        for name, item in schema.items():
            yield from _floats(item, name)

"""Where a JSON Schema contradicts itself: no value could be right, or it refuses a value that it names itself."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from skillpm.formats.document import PlacedValueError

_BOUNDS = (
    (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")),
    (("minLength",), ("maxLength",)),
    (("minItems",), ("maxItems",)),
    (("minContains",), ("maxContains",)),
    (("minProperties",), ("maxProperties",)),
)
_LISTS = ("enum", "type", "anyOf", "oneOf", "allOf")  # each needs an item
# each of these speaks of a value alone, whatever stands beside it
_LIMITS = ("type", "enum", "const", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf",
           "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties",
           "maxProperties")  # fmt: skip
# where schemas stand in a schema: by name, in a list or alone
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_PARTS = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")  # each speaks of the same value as what is around it
_INNER = ("items", "prefixItems", "contains", "additionalProperties", "propertyNames", *_PARTS)
_SHOWN = 80  # characters of a value in a message


def refuse_contradictions(schema: Any, *, is_part: bool = False) -> None:
    """Raise PlacedValueError, with its place and a hint, where a schema contradicts itself, at any depth.

    Args:
        schema: the schema.
        is_part: does another schema speak of the same value, as around a branch of ``allOf``?
    """
    if not isinstance(schema, dict):
        return
    for problem in (*_empty(schema), *_bounds(schema), *_values(schema), *_required(schema, is_part=is_part)):
        raise problem
    for place, item, inner_is_part in _inner(schema):
        try:
            refuse_contradictions(item, is_part=inner_is_part)
        except PlacedValueError as problem:
            raise problem.inside(*place) from None


def _inner(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any, bool]]:
    """Yield the place of each schema that stands in a schema, with it, and whether it is a part."""
    for key, item in schema.items():
        if key in _NAMED and isinstance(item, dict):
            for name, inner in item.items():
                yield (key, name), inner, key not in ("properties", "patternProperties")
        elif key in _INNER and isinstance(item, list):
            for number, inner in enumerate(item):
                yield (key, number), inner, key in _PARTS
        elif key in _INNER:
            yield (key,), item, key in _PARTS


def _empty(schema: dict[str, Any]) -> Iterator[PlacedValueError]:
    for key in _LISTS:
        if schema.get(key) == []:
            hint = f"add an item to `{key}`, or remove it"
            yield PlacedValueError("is empty, so no value is right", place=(key,), hint=hint)


def _bounds(schema: dict[str, Any]) -> Iterator[PlacedValueError]:
    for lows, highs in _BOUNDS:
        for low, high in itertools.product(lows, highs):
            least, most = schema.get(low), schema.get(high)
            if isinstance(least, int | float) and isinstance(most, int | float):
                is_excluded = "exclusive" in low + high
                if least > most or (is_excluded and least == most):
                    message = f"`{low}: {least}` and `{high}: {most}` leave no value"
                    yield PlacedValueError(message, place=(high,), hint=f"make `{high}` larger, or `{low}` smaller")


def _values(schema: dict[str, Any]) -> Iterator[PlacedValueError]:
    """Yield the values that a schema names and refuses; null stands for a value that is left out."""
    listed = schema["enum"] if isinstance(schema.get("enum"), list) else []
    for key, values in (("enum", listed), ("const", [schema.get("const")]), ("default", [schema.get("default")])):
        named = [value for value in values if value is not None]
        # `const` says which value of `enum` is meant, so the others need not fit it
        for limit in [
            name for name in _LIMITS if named and name in schema and name != key and key + name != "enumconst"
        ]:
            for value in _refused({limit: schema[limit]}, named):
                is_unquoted = schema[limit] == "string" and isinstance(value, int | float)
                hint = (
                    f'write it in quotes: "{_shown(value)}"'
                    if is_unquoted
                    else f"change the value, or change `{limit}`"
                )
                message = f"`{_shown(value)}` does not fit `{limit}: {_shown(schema[limit])}`"
                yield PlacedValueError(message, place=(key,), hint=hint)


def _refused(schema: dict[str, Any], values: list[Any]) -> list[Any]:
    import jsonschema_rs

    try:
        validator = jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions())
    except (jsonschema_rs.ValidationError, ValueError):
        return []  # this part of the schema is wrong, which is an error of its own
    return [value for value in values if not validator.is_valid(value)]


def _shown(value: Any) -> str:
    return value[:_SHOWN] if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[:_SHOWN]


def _required(schema: dict[str, Any], *, is_part: bool) -> Iterator[PlacedValueError]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    has_others = is_part or any(
        key in schema for key in ("additionalProperties", "$ref", "$dynamicRef", *_NAMED[1:], *_PARTS)
    )
    for name in required:
        if isinstance(name, str) and name not in properties and (is_closed or not has_others):
            hint = f"add `{name[:_SHOWN]}` to `properties`, or remove it here"
            yield PlacedValueError(f"`{name[:_SHOWN]}` is not in `properties`", place=("required",), hint=hint)

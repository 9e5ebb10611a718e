"""Where a JSON Schema is wrong or contradicts itself: no value could be right, or it refuses a value that it names."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from skillpm.formats.document import PlacedValueError
from skillpm.model.name import did_you_mean

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
_INNER = ("items", "prefixItems", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
          "unevaluatedProperties", *_PARTS)  # fmt: skip
_TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))
_SHOWN = 80  # characters of a value in a message
_REFUSES_ALL = PlacedValueError("refuses every value", place=("not",), hint="remove `not`, or write a schema below it")


def refuse_invalid(schema: dict[str, Any]) -> None:
    """Raise PlacedValueError, with its place, where the meta-schema of JSON Schema 2020-12 refuses a schema."""
    import jsonschema_rs

    if jsonschema_rs.meta.is_valid({key: item for key, item in schema.items() if key != "$schema"}):
        return
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    worst = best_match(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))
    if worst is None:
        return
    place = tuple(worst.absolute_path)
    if place[-1:] == ("type",) and isinstance(worst.instance, str):
        problem = f"`{worst.instance[:_SHOWN]}` is not one of {', '.join(sorted(_TYPES))}"
        raise PlacedValueError(problem, place=place, hint=did_you_mean(worst.instance, _TYPES) or None)
    raise PlacedValueError(worst.message[:300], place=place)


def refuse_uncompiled(schema: dict[str, Any]) -> None:
    """Raise PlacedValueError, with its place, where no validator is made of a schema: a pattern of it is wrong."""
    import jsonschema_rs

    try:
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)
    except ValueError as error:
        place = tuple(getattr(error, "instance_path", ()))
        words = str(error).splitlines()[0][:300].replace('is not a "regex"', "is not a regular expression")
        raise PlacedValueError(words, place=place) from None


def refuse_contradictions(schema: Any) -> None:
    """Raise PlacedValueError, with its place and a hint, where a schema contradicts itself, at any depth."""
    if isinstance(schema, dict) and schema.get("not", False) in ({}, True):
        raise _REFUSES_ALL.inside()  # a new one: an error keeps the frames of each place where it was raised
    _refuse(schema, is_part=False)


def _refuse(schema: Any, *, is_part: bool) -> None:
    """Refuse a schema at any depth; is it a part, so that another schema speaks of the same value?"""
    if not isinstance(schema, dict):
        return
    checks = (_empty, _bounds, _items, _types, _values)
    problems = itertools.chain.from_iterable(check(schema) for check in checks)
    for problem in (*problems, *_required(schema, is_part=is_part), *_impossible(schema, is_part=is_part)):
        raise problem
    for place, item, inner_is_part in inner_schemas(schema):
        try:
            _refuse(item, is_part=inner_is_part)
        except PlacedValueError as problem:
            raise problem.inside(*place) from None


def inner_schemas(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any, bool]]:
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


def _items(schema: dict[str, Any]) -> Iterator[PlacedValueError]:
    """Yield why a list cannot have as many different items as it needs."""
    items, least = schema.get("items"), schema.get("minItems")
    if schema.get("uniqueItems") is not True or not isinstance(items, dict) or not isinstance(least, int | float):
        return
    count = 1 if "const" in items else 2 if items.get("type") == "boolean" else None
    if isinstance(items.get("enum"), list):
        count = len({json.dumps(value, sort_keys=True) for value in items["enum"]})
    if "prefixItems" not in schema and count is not None and count < least:
        message = f"`minItems: {least}` and `uniqueItems` leave no value, because `items` allows {count} of them"
        yield PlacedValueError(message, place=("minItems",), hint="make `minItems` smaller, or allow more items")


def _types(schema: dict[str, Any]) -> Iterator[PlacedValueError]:
    """Yield the type that the parts of ``allOf`` exclude together."""
    parts = schema["allOf"] if isinstance(schema.get("allOf"), list) else []
    left = _TYPES | {"fraction"}  # a number is an integer or a fraction
    for part in (schema, *parts):
        declared = part.get("type") if isinstance(part, dict) else None
        names = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
        both = {"integer", "fraction"} if "number" in names else set()
        left = left & {*map(str, names), *both} if names else left
    if parts and not left:
        message = "no type of JSON is allowed by all parts together"
        yield PlacedValueError(message, place=("allOf",), hint="give the parts of `allOf` one type")


def _impossible(schema: dict[str, Any], *, is_part: bool) -> Iterator[PlacedValueError]:
    """Yield the properties that no value can have; in a part of a schema this forbids a property, as `false` does."""
    properties = schema.get("properties")
    for name, item in properties.items() if isinstance(properties, dict) and not is_part else ():
        if isinstance(item, dict) and item.get("not", False) in ({}, True):
            yield _REFUSES_ALL.inside("properties", name)


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

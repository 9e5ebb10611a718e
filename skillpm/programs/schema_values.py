"""Values of a JSON Schema, for the slots of a rule: those that people would give, as far as the schema accepts them."""

from __future__ import annotations

import math
import random
import re
from contextlib import suppress
from typing import Any

import jsonschema_rs

from skillpm.contract.schema_sampler import SchemaSampler, UnsampledError
from skillpm.programs.draft import LONGEST_LIST
from skillpm.programs.operations import UnsupportedError
from skillpm.programs.values import examples, fresh, kind_of

_FORMATS = {"date": "day", "date-time": "datetime", "email": "email", "uri": "url", "url": "url", "uuid": "uuid",
            "hostname": "host", "ipv4": "host", "duration": "duration"}  # fmt: skip
_DRAWN = 40  # texts of a pattern
_FEW = 4  # examples, below which others are added
_FARTHEST = 10**15  # from zero: a double has every whole number up to there


def values_of(schema: dict[str, Any], name: str) -> tuple[str | tuple[Any, ...], tuple[Any, ...]]:
    """Return where values of a scalar come from, and those for suites. Raises UnsupportedError if none is known."""
    if "const" in schema or schema.get("enum"):
        listed = schema.get("enum") or [schema["const"]]
        return tuple([item for item in listed if item != ""] or listed), ()  # nobody says an empty text
    kind = schema.get("type", "string")
    if kind == "boolean":
        return (True, False), ()
    if kind not in ("string", "integer", "number"):
        raise UnsupportedError("an object without properties" if kind == "object" else f"of the type {kind}")
    text = str(schema.get("description") or "")
    chosen = _FORMATS.get(str(schema.get("format"))) or kind_of(parted(name), "", kind, text)
    if kind == "string" and schema.get("examples"):
        listed = [item for item in schema["examples"] if isinstance(item, str)]
        if len(listed) < _FEW:
            listed += _valid(schema, examples(chosen)) or _drawn(schema)
        return tuple(dict.fromkeys(listed)), ()
    pool, rest = examples(chosen), tuple(_valid(schema, fresh(chosen)))
    if kind != "string" and (
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} & set(schema)
    ):
        return tuple(_numbers(schema, kind)), ()
    right = tuple(_valid(schema, pool))
    if len(right) == len(pool) and ("pattern" not in schema or rest):
        return chosen, rest
    others = tuple(
        value for other in ("word", "name", "uuid", "tag", "date") for value in _valid(schema, examples(other))
    )
    values = right or others or tuple(_drawn(schema))
    if not values:
        raise UnsupportedError(
            "a text with a pattern for which no example is known" if kind == "string" else "without a value"
        )
    return values, ()


def check_list(schema: dict[str, Any]) -> None:
    """Raise UnsupportedError for a list that may not be as short, or as long, as those of rules."""
    bounds = {key: item for key, item in schema.items() if key in ("minItems", "maxItems")}
    if len(_valid(bounds, [[None], [None] * LONGEST_LIST])) < 2:
        raise UnsupportedError(f"a list that may not have every number of items from 1 to {LONGEST_LIST}")


def keep_right_values(schema: dict[str, Any]) -> None:
    """Remove the values of `enum`, examples and default that the schema itself refuses: published schemas have such."""
    if isinstance(schema.get("enum"), list):
        others = {key: item for key, item in schema.items() if key not in ("enum", "default")}
        schema["enum"] = _valid(others, [item for item in schema["enum"] if item is not None])
        if not schema["enum"]:
            raise UnsupportedError("a choice among no values")
    if "default" in schema and not _valid(schema, [schema["default"]]):
        del schema["default"]
    if "examples" in schema:
        schema["examples"] = _valid(schema, schema["examples"])
        if not schema["examples"]:
            del schema["examples"]


def parted(name: str) -> str:
    """Return ``user_id`` for ``userId``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _numbers(schema: dict[str, Any], kind: str) -> list[Any]:
    valid: list[Any] = []
    with suppress(OverflowError, ValueError):  # of bounds or a step so far off that no double tells them apart
        valid = _valid(schema, _between_bounds(schema, kind))
    if not valid:
        raise UnsupportedError("a number without a value")
    return valid


def _drawn(schema: dict[str, Any]) -> list[str]:
    """Return short texts without blanks that the schema admits, the same in every run; none if they cannot be drawn."""
    own = {key: item for key, item in schema.items() if key != "examples"}
    sampler = SchemaSampler(own, random.Random(0))
    with suppress(UnsampledError):
        drawn = dict.fromkeys(sampler.value(own) for _ in range(_DRAWN))
        return _valid(
            schema,
            [text for text in drawn if isinstance(text, str) and re.fullmatch(r"[\w./:@-]{1,64}", text, re.ASCII)],
        )
    return []


def _between_bounds(schema: dict[str, Any], kind: str) -> list[Any]:
    step = schema.get("multipleOf", 1 if kind == "integer" else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum", min(0, schema.get("maximum", 0)) - step) + step)
    if "multipleOf" in schema:
        low = math.ceil(low / step) * step
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 60 * step) - step)
    low, high = max(low, -_FARTHEST), min(high, _FARTHEST)
    values = {low + round((high - low) / step * part / 15) * step for part in range(16)}
    return sorted(int(value) if kind == "integer" else round(value, 6) for value in values)


def _valid(schema: dict[str, Any], values: list[Any]) -> list[Any]:
    try:
        return [value for value in values if jsonschema_rs.is_valid(schema, value)]
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        raise UnsupportedError("a schema that the contract cannot check") from None

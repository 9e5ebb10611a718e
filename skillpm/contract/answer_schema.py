"""The JSON Schema of a whole answer, for decoders that write nothing else.

It accepts every answer that the contract accepts, written as a model is trained to write it: all arguments in the
order of the schema, null where one is not used. What says something about several arguments at once, `not`, multiples
of a fraction, bounds from 10^18 on, and the grammar of a command line are left out; the verifier still judges them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skillpm.model.answer_kind import REASONS, AnswerKind
from skillpm.model.contract import Tool

_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties"})
_TOGETHER = ("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas")
"""What says of an object which properties go together: nulls stand for absent ones, which these do not know."""
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_LARGEST, _SMALLEST = 10**18, 1e-80  # sizes between which the engine llguidance can count, beside zero
_NEAR = 1e-14  # of a bound: what the engine tells apart; it reads an excluded 0 as 0 where there is a maximum below 1


def answer_schema(tools: Iterable[Tool], answers: Sequence[AnswerKind] = ("call",)) -> dict[str, Any]:
    """Return the schema of one complete answer of these kinds, for one of these tools."""
    definitions = {tool.name: _with_nulls(tool.input_schema, f"#/$defs/{_pointer(tool.name)}") for tool in tools}
    forms = [_call(name, schema) for name, schema in definitions.items()]
    if "ask" in answers:
        forms += [_ask(name, _names(schema)) for name, schema in definitions.items() if _names(schema)]
    if "refuse" in answers:
        forms.append(_object({"refuse": {"enum": list(REASONS)}}, ["refuse"]))
    if "answer" in answers:
        forms.append(_object({"answer": {"type": "string", "minLength": 1}}, ["answer"]))
    return {"anyOf": forms, "$defs": definitions}


def _names(schema: Mapping[str, Any]) -> list[str]:
    return list(schema.get("properties", {}))


def _ask(name: str, arguments: list[str]) -> dict[str, Any]:
    some = {"type": "array", "items": {"enum": arguments}, "minItems": 1, "maxItems": len(arguments)}
    return _object({"tool": {"const": name}, "ask": some}, ["tool", "ask"])


def _call(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    arguments = _object(properties, list(properties))
    return _object({"tool": {"const": name}, "args": arguments}, ["tool", "args"])


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _pointer(name: str) -> str:
    """Return a name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _with_nulls(schema: Any, root: str) -> Any:
    """Return a schema in which optional properties may be null, whose references begin at ``root``."""
    if not isinstance(schema, dict):
        return schema
    types = {schema["type"]} if isinstance(schema.get("type"), str) else {*schema.get("type", ())}
    if types & {"number", "integer"} and schema.keys().isdisjoint(("enum", "const")):
        schema = _bounded(schema, is_whole="number" not in types)
    objects = "properties" in schema
    left_out = {*_TOGETHER} if objects else set()
    if isinstance(schema.get("multipleOf"), float):
        left_out.add("multipleOf")  # of 0.25 the engine takes 1.50 alone, and models are trained to write 1.5
    result = {key: _inner(key, item, root) for key, item in schema.items() if key not in left_out}
    if objects:
        required = schema.get("required", ())
        result["properties"] = {
            name: item if name in required else {"anyOf": [item, {"type": "null"}]}
            for name, item in result["properties"].items()
        }
    return result


def _bounded(schema: dict[str, Any], *, is_whole: bool) -> dict[str, Any]:
    """Return a schema of numbers with bounds as the engine reads them right: inclusive, and whole for whole numbers.

    Without any bound it writes exponents without end, so a number is not negative, or not positive.
    """
    bounds = {"minimum": _least(schema, 1, is_whole), "maximum": _least(schema, -1, is_whole)}
    known = {key: bound for key, bound in bounds.items() if bound is not None}
    rest = {key: item for key, item in schema.items() if key not in _BOUNDS}
    halves = [rest | known] if known or is_whole else [rest | {"minimum": 0}, rest | {"maximum": 0}]
    return halves[0] if len(halves) == 1 else {"anyOf": halves}


def _least(schema: Mapping[str, Any], sign: int, is_whole: bool) -> float | None:
    """Return the least number, or with the sign -1 the greatest; None where there is none that the engine can count."""
    at_least, above = ("minimum", "exclusiveMinimum") if sign > 0 else ("maximum", "exclusiveMaximum")
    bounds: list[float] = []
    if at_least in schema:
        bound = sign * schema[at_least]
        bounds.append(math.ceil(bound) if is_whole else bound)
    if above in schema:
        bound = sign * schema[above]
        bounds.append(math.floor(bound) + 1 if is_whole else bound + abs(bound) * _NEAR or _SMALLEST)
    least = sign * max(bounds, default=_LARGEST)
    if abs(least) >= _LARGEST:
        return None
    return math.copysign(_SMALLEST, least) if 0 < abs(least) < _SMALLEST else least


def _inner(key: str, item: Any, root: str) -> Any:
    if key in _BY_NAME and isinstance(item, dict):
        return {name: _with_nulls(schema, root) for name, schema in item.items()}
    if key in _LISTS and isinstance(item, list):
        return [_with_nulls(schema, root) for schema in item]
    if key in _SINGLE:
        return _with_nulls(item, root)
    if key == "$ref" and isinstance(item, str) and item.startswith("#"):
        return root + item[1:]
    return item

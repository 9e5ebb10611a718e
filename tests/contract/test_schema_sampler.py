"""Values of every type of JSON Schema: what is sampled is valid, and what cannot be is said."""

from __future__ import annotations

import random
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.contract.pattern_sampler import PatternError, sample_pattern
from skillpm.contract.schema_sampler import SchemaSampler, UnsampledError

ADDRESS = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "minLength": 3}}}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 3, "maximum": 7},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 20},
    {"type": "integer", "multipleOf": 2.5, "minimum": 1, "maximum": 20},
    {"type": "integer", "maximum": -5},
    {"type": "number", "minimum": 2.5, "exclusiveMaximum": 2.75},
    {"type": "number", "multipleOf": 0.05, "exclusiveMinimum": 0, "maximum": 0.2},
    {"type": "number", "minimum": 5000},
    {"type": ["string", "null"], "maxLength": 4},
    {"type": "string", "minLength": 40, "maxLength": 41},
    {"type": "string", "pattern": r"^[A-Z]{2}-\d{3,5}(/[a-z]+)?$"},
    {"type": "string", "pattern": r"^(?:v\d+\.\d+|latest)$", "maxLength": 5},
    {"type": "string", "pattern": "^[a-z]+$", "minLength": 30, "maxLength": 60},
    {"type": "array", "items": ADDRESS, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False, "minItems": 2},
    {"type": "object", "required": ["to"], "properties": {"to": {"type": "array", "items": ADDRESS}, "note": {}}},
    {"$defs": {"a": ADDRESS}, "type": "array", "items": {"$ref": "#/$defs/a"}},
    {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 900}]},
    {"oneOf": [{"const": "x"}, {"type": "object", "required": ["y"], "properties": {"y": {"type": "boolean"}}}]},
    {"allOf": [ADDRESS, {"required": ["zip"], "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}}}]},
    {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
    {"type": "array", "items": {"type": "array", "maxItems": 0}},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "minProperties": 2, "propertyNames": {"pattern": "^x-[a-z]{3}$"}},
    {"type": "object", "required": ["ab", "b"], "patternProperties": {"^a": {"type": "integer"}}},
    {"type": "object", "additionalProperties": False, "patternProperties": {"^k[0-9]$": {"type": "integer"}}},
    {"type": "object", "required": ["a" * 40 + "!"], "patternProperties": {"^(a+)+$": {"type": "integer"}}},
    {"type": "array", "contains": {"const": 7}, "minContains": 2, "items": {"type": "integer"}, "maxItems": 4},
    {"type": "string", "pattern": "^((((a*)*)*)*)*$", "minLength": 20},
    *({"type": "string", "format": name} for name in (
        "date", "time", "date-time", "duration", "email", "hostname", "uri", "uri-reference", "uuid", "ipv4", "ipv6",
        "json-pointer", "regex",
    )),
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_what_is_sampled_is_valid_and_varies(schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    values = [SchemaSampler(schema, random.Random(seed)).value(schema) for seed in range(60)]
    assert [value for value in values if not validator.is_valid(value)] == []
    assert len({str(value) for value in values}) > 1 or schema.get("exclusiveMaximum") == 5
    assert values == [SchemaSampler(schema, random.Random(seed)).value(schema) for seed in range(60)]


def test_what_may_be_null_is_null_now_and_then() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": ["integer", "null"]}}}
    sampler = SchemaSampler(schema, random.Random(0))
    share = sum(sampler.value(schema)["a"] is None for _ in range(500)) / 500
    assert 0.1 < share < 0.3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 0.2, "maximum": 0.8},
        {"type": "integer", "multipleOf": 50, "minimum": 1, "maximum": 49},
        {"type": "string", "pattern": "^(((a{400}){400}){400})$"},
        {"type": "string", "minLength": 1 << 40},
        {"type": "array", "minItems": 1 << 40},
        {"type": "array", "minItems": 900, "items": {"type": "array", "minItems": 900}},
        {"type": "object", "minProperties": 1 << 40},
        {"type": "object", "required": ["a"], "patternProperties": {"(": {}}},
        {"type": "string", "pattern": "^a(?=b)"},
        {"type": "string", "pattern": "^abc$", "maxLength": 2},
        {"type": "string", "minLength": 1 << 40},
        {"type": "array", "minItems": 1 << 40, "items": {"type": "boolean"}},
        {"type": "array", "minItems": 999, "items": {"type": "array", "minItems": 999, "items": {"minLength": 999}}},
        {"type": "array", "minItems": 9000, "uniqueItems": True, "items": {"type": "string"}},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {
            "$defs": {"n": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/$defs/n"}}}},
            "$ref": "#/$defs/n",
        },
    ],
    ids=str,
)
def test_what_cannot_be_sampled_is_said(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsampledError):
        SchemaSampler(schema, random.Random(0)).value(schema)


PIECES = st.sampled_from(
    ["a", r"\d", "[a-f]", "[^x]", r"\w+", "(b|cd)", "e{2,3}", "f*", ".", r"\.", "(?:gh)?", r"[\s-]", "i+?", "(j)\\1"]
)


@settings(max_examples=60)
@given(st.lists(PIECES, min_size=1, max_size=5), st.integers(0, 99))
def test_a_sample_of_a_pattern_is_matched_from_end_to_end(pieces: list[str], seed: int) -> None:
    pattern = "".join(piece for piece in pieces if "\\1" not in piece) or "a"
    text = sample_pattern(f"^{pattern}$", random.Random(seed))
    assert re.fullmatch(pattern, text)
    assert re.fullmatch(r"(j|k)\1", sample_pattern(r"^(j|k)\1$", random.Random(seed)))


def test_a_pattern_that_is_none_is_said() -> None:
    with pytest.raises(PatternError):
        sample_pattern("(", random.Random(0))

"""Keywords that JSON Schema does not have, such as `maxmum`: a validator passes over them without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skillpm.model.schema_contradictions import inner_schemas

KEYWORDS = frozenset((
    "$anchor", "$comment", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema", "$vocabulary",
    "additionalProperties", "allOf", "anyOf", "const", "contains", "contentEncoding", "contentMediaType",
    "contentSchema", "default", "definitions", "dependentRequired", "dependentSchemas", "deprecated", "description",
    "else", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "if", "items", "maxContains",
    "maxItems", "maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties",
    "minimum", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "prefixItems", "properties",
    "propertyNames", "readOnly", "required", "then", "title", "type", "unevaluatedItems", "unevaluatedProperties",
    "uniqueItems", "writeOnly",
))  # fmt: skip
"""Of JSON Schema 2020-12, and `definitions`, which references may name."""


def unknown_keywords(schema: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of each unknown keyword, at any depth; one that begins with `x-` is an extension."""
    if not isinstance(schema, dict):
        return
    yield from ((key,) for key in schema if key not in KEYWORDS and not key.startswith("x-"))
    for place, inner, _ in inner_schemas(schema):
        yield from ((*place, *more) for more in unknown_keywords(inner))

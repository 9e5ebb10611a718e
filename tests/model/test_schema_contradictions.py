"""A schema that contradicts itself is an error with its place, its line and a hint; one that does not is a schema."""

from __future__ import annotations

import pytest

from skillpm.errors import DocumentError
from skillpm.formats.document import PlacedValueError, read_model
from skillpm.model.contract import ContractDocument
from skillpm.model.schema_contradictions import refuse_contradictions
from skillpm.model.synthesis import Pool
from tests.serving import compiled

REFUSED = {  # schema: where it is wrong
    "{enum: []}": "enum",
    "{oneOf: []}": "oneOf",
    "{type: []}": "type",
    "{type: array, items: {enum: []}}": "items.enum",
    "{anyOf: [{type: string, allOf: []}]}": "anyOf.0.allOf",
    "{type: integer, minimum: 3, exclusiveMaximum: 3}": "exclusiveMaximum",
    "{type: array, minItems: 3, maxItems: 1}": "maxItems",
    "{type: array, contains: {}, minContains: 3, maxContains: 1}": "maxContains",
    "{enum: [a, b], const: c}": "const",
    "{type: string, const: 2}": "const",
    "{type: string, enum: [a, 2]}": "enum",
    "{type: integer, enum: [1.5]}": "enum",
    "{type: string, enum: [a, b], default: c}": "default",
    "{type: integer, maximum: 3, default: 7}": "default",
    "{type: string, pattern: '^a', default: b}": "default",
    "{type: object, properties: {x: {}}, required: [y]}": "required",
    "{type: object, properties: {x: {}}, required: [y], additionalProperties: false, allOf: [{}]}": "required",
    "{type: object, properties: {enum: {enum: []}}}": "properties.enum.enum",
    "{type: array, items: {enum: [a, b]}, uniqueItems: true, minItems: 3}": "minItems",
    "{type: array, items: {type: boolean}, uniqueItems: true, minItems: 3}": "minItems",
    "{not: {}}": "not",
    "{allOf: [{type: string}, {type: integer}]}": "allOf",
    "{type: string, allOf: [{type: [number, 'null']}]}": "allOf",
}
TAKEN = [
    "{enum: [a, null], type: string, default: null}",
    "{enum: [a, b], const: a}",
    "{type: array, items: {enum: [a, b]}, minItems: 3}",
    "{not: {type: string}}",
    "{type: object, properties: {x: {}}, if: {required: [x]}, then: {properties: {x: {not: {}}}}}",
    "{type: [number, string], allOf: [{type: integer}, {minimum: 1}]}",
    "{type: integer, default: 1.0}",
    "{type: string, default: a, maxItems: 0}",
    "{type: object, default: {enum: []}, examples: [{required: []}]}",
    "{type: object, properties: {enum: {type: string}, default: {type: string}, type: {type: string}}}",
    "{type: object, properties: {x: {}}, required: [y], additionalProperties: {type: string}}",
    "{allOf: [{properties: {x: {}}, required: [y]}, {properties: {y: {}}}]}",
    "{type: object, properties: {x: {}}, anyOf: [{required: [x]}, {required: [z]}]}",
]
TEXT = "contract: 1\ntools:\n  - name: call\n    input_schema:\n      type: object\n      properties:\n        p: "


@pytest.mark.parametrize("schema", REFUSED)
def test_a_contradiction_has_a_place_a_line_and_a_hint(schema: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_model(ContractDocument, TEXT + schema)
    place = f"`tools.0.input_schema.properties.p.{REFUSED[schema]}`: "
    assert caught.value.message.startswith(place) and caught.value.line == 7 and caught.value.hint
    with pytest.raises(DocumentError):
        read_model(Pool, f"schema: {schema}")


@pytest.mark.parametrize(
    ("schema", "key"), [("{type: strin}", "type"), ("{type: [strin]}", "type.0"), ("{minLength: x}", "minLength")]
)
def test_what_is_not_json_schema_has_a_place_and_a_line(schema: str, key: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_model(ContractDocument, TEXT + schema)
    assert caught.value.message.startswith(f"`tools.0.input_schema.properties.p.{key}`: ") and caught.value.line == 7


@pytest.mark.parametrize("schema", TAKEN)
def test_what_is_only_unusual_is_taken(schema: str) -> None:
    compiled(TEXT + schema)


def test_an_error_keeps_nothing_of_an_earlier_one() -> None:
    with pytest.raises(PlacedValueError) as first:
        refuse_contradictions({"not": {}})
    with pytest.raises(PlacedValueError) as second:
        refuse_contradictions({"not": {}})
    assert len(first.traceback) == len(second.traceback) and first.value is not second.value

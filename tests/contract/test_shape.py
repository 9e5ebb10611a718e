"""Objects inside arguments and whole numbers, by every keyword with which a schema may describe them."""

from __future__ import annotations

import json
from typing import Any

import llguidance
import pytest

from skillpm.contract.answer_schema import answer_schema
from skillpm.contract.contract import Contract
from skillpm.model.contract import ContractDocument
from skillpm.train.hf.grammar import JSON_FORM

TEXT = {"type": "string"}
NAMED = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
MAILED = {"type": "object", "properties": {"mail": TEXT}}
PERSON = {**NAMED, "properties": {"name": TEXT, "mail": TEXT}, "additionalProperties": False}
SHOP = {
    "type": "object",
    "properties": {"shop": TEXT, "mail": TEXT},
    "required": ["shop"],
    "additionalProperties": False,
}
SHORT, LONG = {"name": "Max"}, {"name": "Max", "mail": None}


def contract_of(schema: Any, definitions: dict[str, Any] | None = None) -> Contract:
    """Return a contract with one argument `b` of this schema."""
    input_schema = {"type": "object", "properties": {"b": schema}, "$defs": definitions or {}}
    document = {"contract": 1, "tools": [{"name": "t", "description": "Does it.", "input_schema": input_schema}]}
    return Contract(ContractDocument.model_validate(document))


def judged(contract: Contract, expected: Any, answered: Any) -> str:
    completion = json.dumps({"tool": "t", "args": {"b": answered}})
    return contract.judge({"tool": "t", "args": {"b": expected}}, completion).status


OBJECTS: dict[str, Any] = {
    "its properties": PERSON,
    "a reference": {"$ref": "#/$defs/person"},
    "an anchor": {"$ref": "#one"},
    "a dynamic anchor": {"$dynamicRef": "#other"},
    "allOf": {"allOf": [NAMED, MAILED]},
    "a reference and properties": {"$ref": "#/$defs/named", "properties": {"mail": TEXT}},
    "oneOf": {"oneOf": [PERSON, SHOP]},
    "anyOf with null": {"anyOf": [PERSON, {"type": "null"}]},
    "a form that requires it": {"anyOf": [PERSON, {**SHOP, "required": ["shop", "mail"]}]},
    "then": {**NAMED, "if": {"required": ["name"]}, "then": MAILED},
    "dependentSchemas": {**NAMED, "dependentSchemas": {"name": MAILED}},
}
DEFINITIONS = {
    "person": PERSON,
    "named": NAMED,
    "one": {"$anchor": "one", **PERSON},
    "other": {"$dynamicAnchor": "other", **PERSON},
}
HOLDERS: dict[str, Any] = {
    "itself": (lambda schema: schema, lambda value: value),
    "items": (lambda schema: {"type": "array", "items": schema}, lambda value: [value]),
    "prefixItems": (lambda schema: {"type": "array", "prefixItems": [TEXT, schema]}, lambda value: ["a", value]),
    "contains": (lambda schema: {"type": "array", "contains": schema}, lambda value: [value]),
    "unevaluatedItems": (lambda schema: {"type": "array", "unevaluatedItems": schema}, lambda value: [value]),
    "properties": (lambda schema: {"type": "object", "properties": {"p": schema}}, lambda value: {"p": value}),
    "patternProperties": (
        lambda schema: {"type": "object", "patternProperties": {"^p": schema}},
        lambda value: {"p1": value},
    ),
    "additionalProperties": (
        lambda schema: {"type": "object", "additionalProperties": schema},
        lambda value: {"p": value},
    ),
    "unevaluatedProperties": (
        lambda schema: {"type": "object", "unevaluatedProperties": schema},
        lambda value: {"p": value},
    ),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("form", OBJECTS)
def test_null_and_absent_are_one_however_an_object_is_described_and_a_label_has_one_form(
    form: str, holder: str
) -> None:
    around, at = HOLDERS[holder]
    contract = contract_of(around(OBJECTS[form]), DEFINITIONS)

    assert judged(contract, at(SHORT), at(LONG)) == judged(contract, at(LONG), at(SHORT)) == "passed"
    assert judged(contract, at(SHORT), at({"name": "Eva", "mail": None})) == "failed"
    assert len({contract.render({"tool": "t", "args": {"b": at(value)}}) for value in (SHORT, LONG)}) == 1


@pytest.mark.parametrize("form", [form for form in OBJECTS if "anchor" not in form])
def test_a_grammar_takes_the_label_however_an_object_is_described(form: str) -> None:
    contract = contract_of(OBJECTS[form], DEFINITIONS)
    schema = json.dumps(answer_schema(contract.tools.values()))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=JSON_FORM)
    follower = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0)
    text = contract.render({"tool": "t", "args": {"b": SHORT}})

    assert follower.consume_tokens(list(text.encode())), (text, follower.get_error())
    assert follower.is_accepting()


def test_null_stays_where_it_is_a_value() -> None:
    nullable = {**PERSON, "properties": {"name": TEXT, "mail": {"type": ["string", "null"]}}, "required": ["mail"]}
    assert judged(contract_of(nullable), LONG, LONG) == "passed"
    assert judged(contract_of(nullable), LONG, SHORT) == "failed"
    assert judged(contract_of({"type": "object"}), {"x": None}, {}) == "failed"


WHOLE: list[tuple[Any, Any]] = [
    ({"type": "integer"}, 5.0),
    ({"type": "number", "multipleOf": 2}, 8.0),
    ({"anyOf": [{"type": "integer"}, {"type": "number", "maximum": 5}]}, 1e16),
    ({"$ref": "#port"}, 5.0),
    ({"patternProperties": {"^p": {"type": "integer"}}}, {"p": 5.0}),
    ({"items": {"type": "integer"}}, [*range(200), 5.0]),
    ({"prefixItems": [{"type": "number"}], "items": {"type": "integer"}}, [5.0, *[0.5] * 200, 5.0]),
    ({"properties": {"level": {"enum": [1.0, 2.0]}, "port": {"type": "integer"}}}, {"level": 1.0, "port": 1.0}),
    ({"enum": [[1, 2], [1.0, 3]]}, [1, 2.0]),
]
FRACTIONS: list[tuple[Any, Any]] = [
    ({"type": "number", "multipleOf": 0.2}, 2.0),
    ({"type": "number", "multipleOf": 1.5, "maximum": 3}, 3.0),
    ({"type": "number", "minimum": 1, "exclusiveMaximum": 1.0001}, 1.0),
    ({"items": {"type": "number"}}, [float(number) for number in range(200)]),
    ({"enum": [[1.0, 2.0]]}, [1.0, 2.0]),
    ({"const": {"x": 1.0}}, {"x": 1.0}),
    ({"type": "number", "minimum": 1e16}, 1e16),
    ({"type": "number", "maximum": -1e16}, -1e300),
    ({"properties": {"level": {"enum": [1.0, 2.0]}, "port": {"type": "integer"}}}, {"level": 1.0, "port": 1}),
]


@pytest.mark.parametrize(
    ("schema", "value", "is_right"), [(*c, False) for c in WHOLE] + [(*c, True) for c in FRACTIONS]
)
def test_a_whole_number_has_no_fraction_where_its_place_admits_none(schema: Any, value: Any, is_right: bool) -> None:
    contract = contract_of(schema, {"port": {"$anchor": "port", "type": "integer"}})
    problems = contract.problems({"tool": "t", "args": {"b": value}})
    assert (problems == []) is is_right, problems

"""The work that a schema asks of a validator is bounded, whatever its references share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from skillpm.contract.schema import ToolSchema
from skillpm.model.contract import Tool
from skillpm.model.schema_effort import Effort, refuse_exponential

Schema = dict[str, Any]


def tool(a: Schema, defs: Schema) -> Tool:
    schema = {"type": "object", "properties": {"a": a}, "$defs": defs}
    return Tool.model_validate({"name": "t", "input_schema": schema})


def doubling(step: Callable[[Schema], Schema], levels: int = 40) -> Tool:
    """Return a tool whose argument has so many levels, each of which says what comes next in ``step``."""
    defs = {f"d{level}": step({"$ref": f"#/$defs/d{level + 1}"}) for level in range(levels)}
    return tool({"$ref": "#/$defs/d0"}, {**defs, f"d{levels}": {"type": "integer"}})


INTEGER: Schema = {"type": "integer"}
STEPS: dict[str, Callable[[Schema], Schema]] = {
    "alternatives of both": lambda after: {"anyOf": [{"allOf": [after, INTEGER]}, {"allOf": [after, INTEGER]}]},
    "alternatives": lambda after: {"oneOf": [after, after]},
    "not and if": lambda after: {"not": after, "if": after},
    "properties of alternatives": lambda after: {"anyOf": [{"properties": {"x": after}}, {"properties": {"x": after}}]},
    "items and contains": lambda after: {"items": after, "contains": after},
    "patterns": lambda after: {"patternProperties": {"^x": after, "x$": after}},
    "dependent schemas": lambda after: {"dependentSchemas": {"x": after, "y": after}},
    "names": lambda after: {"propertyNames": after, "additionalProperties": after},
    "prefix": lambda after: {"prefixItems": [after], "unevaluatedItems": after},
}


@pytest.mark.parametrize("step", STEPS)
def test_parts_that_double_with_each_level_are_refused_at_once(step: str) -> None:
    start = time.monotonic()
    with pytest.raises(ValidationError, match="more than 10000 parts"):
        doubling(STEPS[step])
    assert time.monotonic() - start < 5
    assert doubling(STEPS[step], levels=4).name == "t"


@pytest.mark.parametrize(
    "reference", ["#/%24defs/d{}", "#/$defs/d{}/allOf/0", "#a{}"], ids=["quoted", "in a list", "anchor"]
)
def test_a_reference_counts_however_it_is_written(reference: str) -> None:
    defs: Schema = {}
    for level in range(40):
        after = {"$ref": reference.format(level + 1)}
        defs[f"d{level}"] = {"$anchor": f"a{level}", "allOf": [{"anyOf": [after, after]}]}
    with pytest.raises(ValidationError, match="more than 10000 parts"):
        tool({"$ref": "#/$defs/d0"}, {**defs, "d40": {"$anchor": "a40", "allOf": [INTEGER]}})


@pytest.mark.parametrize(
    "defs",
    [
        {"d": {"$ref": "#/$defs/d"}},
        {"d": {"anyOf": [{"$ref": "#/$defs/d"}, {"$ref": "#/$defs/d"}]}},
        {"d": {"allOf": [{"$ref": "#/$defs/e"}]}, "e": {"not": {"$ref": "#/$defs/d"}}},
    ],
)
def test_a_part_that_is_its_own_alternative_is_refused(defs: Schema) -> None:
    with pytest.raises(ValidationError, match="leads back to itself"):
        tool({"$ref": "#/$defs/d"}, defs)


def test_a_long_way_through_references_is_refused_and_not_a_traceback() -> None:
    with pytest.raises(ValidationError, match="more than 200 schemas"):
        doubling(lambda after: {"allOf": [after]}, levels=5_000)


TREE = {"properties": {"left": {"$ref": "#/$defs/d"}, "right": {"$ref": "#/$defs/d"}}, "type": ["object", "null"]}
WORDS = ("add", "sub", "mul", "div")
EXPRESSION = {
    "anyOf": [
        INTEGER,
        *(
            {"type": "object", "properties": {"op": {"const": word}, "args": {"items": {"$ref": "#/$defs/d"}}}}
            for word in WORDS
        ),
    ]
}


def nested(depth: int) -> Any:
    return 1 if depth == 0 else {"op": "div", "args": [nested(depth - 1)]}


def test_a_schema_that_contains_itself_is_read_and_its_work_follows_from_the_answer() -> None:
    tree: Any = None
    for _ in range(50):
        tree = {"left": tree, "right": None}
    assert ToolSchema(tool({"$ref": "#/$defs/d"}, {"d": TREE})).examine({"a": tree}) == ([], None)
    schema = ToolSchema(tool({"$ref": "#/$defs/d"}, {"d": EXPRESSION}))
    assert schema.examine({"a": nested(4)}) == ([], None)
    assert "is not valid" in schema.examine({"a": {"op": "div", "args": ["x"]}})[0][0]
    start = time.monotonic()
    assert "nested too deeply" in schema.examine({"a": nested(30)})[0][0]
    assert time.monotonic() - start < 5


def test_the_effort_is_the_number_of_ways_to_each_part() -> None:
    leaf = {"allOf": [INTEGER, INTEGER]}
    root = {"type": "object", "properties": {"a": {"anyOf": [leaf, leaf]}, "b": True}}
    assert not refuse_exponential(root)
    assert Effort(root).of({"a": 1, "b": 2}, 100) == 1 + 1 + 2 * 3
    assert Effort(root).of({"b": 2}, 100) == 1 and Effort(root).of({"a": 1}, 3) > 3

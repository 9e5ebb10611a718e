"""References in a schema point inside it, wherever they stand; a property may be called like a reference."""

from __future__ import annotations

from typing import Any

import pytest

from skillpm.model.json_schema import refuse_remote_references

AWAY = {"$ref": "http://127.0.0.1/schema"}


@pytest.mark.parametrize(
    "schema",
    [
        AWAY,
        {"properties": {"a": AWAY}},
        {"properties": {"properties": AWAY}},
        {"properties": {"$ref": AWAY}},
        {"$ref": "#/properties", "properties": AWAY},  # the names are read as a schema
        {"$ref": "#/$defs", "$defs": AWAY},
        {"$ref": "#/default", "default": AWAY},
        {"allOf": [{"items": AWAY}]},
        {"$ref": {"type": "string"}},
    ],
    ids=repr,
)
def test_a_reference_that_points_outside_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="may only point inside"):
        refuse_remote_references(schema)


@pytest.mark.parametrize("names", ["properties", "patternProperties", "$defs"])
def test_a_name_may_be_called_like_a_reference(names: str) -> None:
    refuse_remote_references({names: {"$ref": {"type": "string"}, "$dynamicRef": {"$ref": "#"}}})

"""The tables of docs/authoring.md have every key of every document, with its form and its default, as the models do."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

PAGE = (Path(__file__).parents[2] / "docs/authoring.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^<!-- keys of ([\w.]+):(\w+) -->\n\n(.*?)\n(?:\n|\Z)", PAGE, re.MULTILINE | re.DOTALL)
LONGEST = 100  # characters of a form
PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}


def form(schema: dict[str, Any], models: dict[str, Any]) -> str:
    """Return in words what a JSON Schema of pydantic admits."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name if models[name].get("type") == "object" else form(models[name], models)
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema or "oneOf" in schema:
        forms = [form(item, models) for item in schema.get("anyOf") or schema["oneOf"]]
        return " or ".join(dict.fromkeys(item for item in forms if item != "null"))
    if "prefixItems" in schema:
        return "[" + ", ".join(form(item, models) for item in schema["prefixItems"]) + "]"
    if schema.get("type") == "array":
        return f"list of {form(schema.get('items', {}), models)}"
    if schema.get("type") == "object":
        values: Any = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), {})
        return f"mapping to {form(values if isinstance(values, dict) else {}, models)}"
    return PLAIN.get(schema.get("type", ""), "any value")


def rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Yield (key, form, default) of each key of a model."""
    schema = model.model_json_schema()
    for key, item in schema["properties"].items():
        default = "required" if key in schema.get("required", ()) else json.dumps(item.get("default", ""))
        has_own_table = default.startswith(("{", "[{")) or default in ('""', "null", "[]")
        words = form(item, schema.get("$defs", {}))
        yield f"`{key}`", words if len(words) <= LONGEST else "see below", "" if has_own_table else default


@pytest.mark.parametrize(("module", "name", "table"), TABLES, ids=[name for _, name, _ in TABLES])
def test_a_table_has_the_keys_forms_and_defaults_of_its_model(module: str, name: str, table: str) -> None:
    model = getattr(importlib.import_module(f"skillpm.{module}"), name)
    written = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]
    assert [row[:3] for row in written] == [tuple(cell.replace("|", "\\|") for cell in row) for row in rows(model)]
    assert all(len(row) == 4 and row[3] for row in written)


def test_every_document_of_an_author_has_a_table() -> None:
    assert {"SynthesisDocument", "TaskRule", "Draw", "Pool", "Entry", "Constraint", "Suite", "Gate", "Seed", "Case",
            "Recipe", "Data", "Lora", "Sft", "Grpo", "ContractDocument", "Tool", "ArgvPart", "Manifest"} <= {
        name for _, name, _ in TABLES
    }  # fmt: skip

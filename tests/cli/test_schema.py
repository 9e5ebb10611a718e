"""`skillpm schema` prints one JSON Schema a document; a change to a document shows in its golden file."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from skillpm.ops.machine.schema import DOCUMENTS, document_schema
from tests.shop import MakeProject

GOLDEN = Path(__file__).parent.parent / "golden/schema"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_its_golden_file(name: str) -> None:
    """After a change that is meant: `skillpm schema NAME > tests/golden/schema/NAME.json`."""
    schema = document_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def test_every_golden_file_is_a_document_s() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(DOCUMENTS)


def test_a_schema_judges_documents_as_the_model_does() -> None:
    validator = jsonschema.Draft202012Validator(document_schema("seed"))
    assert validator.is_valid({"request": "a", "expected": {"tool": "t"}})
    assert not validator.is_valid({"request": "", "expected": 1})
    assert not validator.is_valid({"request": "a", "expected": 1, "colour": "red"})


def test_the_command_prints_one_schema_or_the_list(project: MakeProject) -> None:
    root = project()
    assert root.call("schema", "skill").ok().document == document_schema("skill")
    listed = root.call("schema").ok().out
    assert all(f"\n{name} " in listed for name in DOCUMENTS)
    assert [row["name"] for row in root.call("schema", "--json").ok().document] == list(DOCUMENTS)


def test_a_mistyped_document_is_answered_with_a_near_name(project: MakeProject) -> None:
    project().call("schema", "contrat").fails(2, "no document `contrat`", "did you mean `contract`?")

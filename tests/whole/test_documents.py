"""Every field of every document that `skillpm schema` prints is read: what a document admits has an effect.

A field counts as read where code outside model/ loads an attribute of its name, or `getattr` asks for it; a method that
is called is no field. SKILL.md is read key by key in layout/, so there a text with the name of the key counts as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.ops.machine.schema import DOCUMENTS, document_schema

SOURCES = Path(__file__).parents[2] / "skillpm"

_ALIASES = {"list": "members", "if": "condition", "from": "source"}  # a field whose name in YAML is a keyword of Python
_FOREIGN = "others define it; `validate` checks that it is one, and no command runs it yet"
_FOR_PEOPLE = "a figure that people read: profile.json and `synth --json` show it"
_VERSION = "the version of the format, which the model itself holds to what this skillpm can read"

UNREAD = {
    "AgentSkillsEval.assertions": _FOREIGN,
    "AgentSkillsEval.expected_output": _FOREIGN,
    "AgentSkillsEvals.skill_name": _FOREIGN,
    "Lengths.mean": _FOR_PEOPLE,
    "NvidiaEval.expected_behavior": _FOREIGN,
    "NvidiaEval.expected_script": _FOREIGN,
    "NvidiaEval.expected_skill": _FOREIGN,
    "NvidiaEval.ground_truth": _FOREIGN,
    "NvidiaEval.question": _FOREIGN,
    "NvidiaEval.should_trigger": _FOREIGN,
    "OverlapCheck.held_out_requests_in_suites": _FOR_PEOPLE,
    "OverlapCheck.held_out_values_in_train": _FOR_PEOPLE,
    "OverlapCheck.train_requests_in_held_out": _FOR_PEOPLE,
    "OverlapCheck.train_requests_in_suites": _FOR_PEOPLE,
    "Profile.digests": _FOR_PEOPLE,
    "Profile.overlap": _FOR_PEOPLE,
    "OverlapCheck.suite_requests_in_rules": _FOR_PEOPLE,
    "RegistryListing.listing": _VERSION,
    "Release.unsigned": "the page of a skill shows it, and an OCI registry reads it in a release that is no model yet",
}
"""Fields that no code outside model/ reads by name, each with the reason why it may stay."""


def names_read(source: str) -> Iterator[str]:
    """Yield the names of attributes that a module loads from values."""
    tree = ast.parse(source)
    called = set()  # a call is visited before what it calls
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called.add(id(node.func))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in called:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            yield from (str(item.value) for item in node.args[1:2] if isinstance(item, ast.Constant))


def texts_of_layout() -> set[Any]:
    sources = [path.read_text(encoding="utf-8") for path in (SOURCES / "layout").rglob("*.py")]
    return {node.value for text in sources for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}


def field_names(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (model, field) of a document and of the documents inside it."""
    for model, part in ((schema["title"], schema), *schema.get("$defs", {}).items()):
        yield from ((model, field) for field in part.get("properties", {}))


@pytest.fixture(scope="module")
def read() -> frozenset[str]:
    files = [path for path in SOURCES.rglob("*.py") if path.relative_to(SOURCES).parts[0] != "model"]
    return frozenset(name for path in files for name in names_read(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_field_of_a_document_is_read(document: str, read: frozenset[str]) -> None:
    fields = field_names(document_schema(document))
    unread = {f"{model}.{field}" for model, field in fields if _ALIASES.get(field, field) not in read}
    if document == "frontmatter":
        texts = texts_of_layout()
        unread = {place for place in unread if place.partition(".")[2] not in texts}
    assert unread - set(UNREAD) == set(), "build what reads the field, or remove it from the document"


def test_every_exception_is_a_field_that_is_still_unread(read: frozenset[str]) -> None:
    fields = {f"{model}.{field}": field for name in DOCUMENTS for model, field in field_names(document_schema(name))}
    assert {place for place in UNREAD if place not in fields or fields[place] in read} == set()


def test_a_call_of_a_method_reads_no_field_of_its_name() -> None:
    source = "click.confirm('sure?')\ntool.confirmed\ngetattr(tool, 'argv')\ntool.name = 1"
    assert set(names_read(source)) == {"confirmed", "argv"}

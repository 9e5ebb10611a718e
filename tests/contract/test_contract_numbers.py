"""Odd numbers in every numeric place of contract.yaml: an error with its line, or a contract that works."""

from __future__ import annotations

import contextlib
import json
import math
import random
import re

import pytest
from pydantic import BaseModel

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError, SkillpmError
from skillpm.formats.document import read_model
from skillpm.layout.check import check
from skillpm.layout.tree import MappingTree
from skillpm.model.contract import ContractDocument
from skillpm.model.manifest import Manifest
from skillpm.model.synthesis import SynthesisDocument
from skillpm.train.recipe import Recipe
from tests.conftest import ROOT

# `<...>` marks a numeric place
TEXT = """\
contract: <1>
tools:
  - name: call
    input_schema:
      type: object
      properties:
        whole: {type: integer, minimum: <1>, maximum: <9>, multipleOf: <1>, default: <3>, examples: [<4>]}
        real: {type: number, exclusiveMinimum: <0>, exclusiveMaximum: <9.5>}
        text: {type: string, minLength: <1>, maxLength: <9>}
        many: {type: array, items: {type: string}, minItems: <1>, maxItems: <3>}
        one: {enum: [<1>, <2.5>, true, null]}
        same: {const: <4>}
        any: {anyOf: [{type: integer, maximum: <8>}, {type: "null"}]}
        inner: {type: object, minProperties: <0>, maxProperties: <4>, examples: [{a: <1>}]}
      required: [whole]
    compare: {real: {number: <0.5>}}
    argv: [prog, {flag: --whole, value: whole}, {flag: --four, when: {same: <4>}}]
  - name: line
    input_schema: {type: object, properties: {command: {type: string}}, required: [command]}
    argv:
      command_line: command
      allow: {head: {values: [{names: "-n", default: <10>, number: true}], operands: {most: <3>, least: <1>}}}
  - name: short
    input_schema: {type: object, properties: {command: {type: string}}, required: [command]}
    argv: {command_line: command, allow: {ls: {operands: <3>}}}
"""
SCHEMA_LINE = 4  # an error of a schema has the line of `input_schema`
PLACES = [match.start() for match in re.finditer("<", TEXT)]
ODD = (
    "0", "-1", "-0", "-0.0", "5.0", "5.5", "+5", "1e308", "-1e308", "1e309", "1e-320", ".nan", ".inf", "-.inf", "NaN",
    "Infinity", "true", "false", "null", "~", "''", "'5'", "five", "0x10", "0o7", "1_000", "٣", "½", "2026-01-01", "[]",
    "{}", "[1]", "{a: 1}", "9007199254740993", "9" * 30, "9" * 399, "9" * 5000,
)  # fmt: skip


def with_number(place: int, number: str) -> str:
    end = TEXT.index(">", place)
    rest = [re.sub("<([^>]*)>", r"\1", text) for text in (TEXT[:place], TEXT[end + 1 :])]
    return number.join(rest)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: TEXT[TEXT.rfind(" ", 0, place - 2) : place].strip(" :[{"))
@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_an_odd_number_is_an_error_with_a_line_or_a_contract_that_works(place: int, step: int) -> None:
    line = TEXT.count("\n", 0, place) + 1
    for number in ODD[PLACES.index(place) % step :: step]:
        text = with_number(place, number)
        try:
            contract = Contract(read_model(ContractDocument, text, path="contract.yaml"))
        except DocumentError as error:
            assert error.line in (None, SCHEMA_LINE, line), (number, error)
        else:
            works(contract)
    files = {"SKILL.md": b"---\nname: t\ndescription: T.\n---\nx\n", "skill.yaml": b"manifest: 1\nversion: 1.0.0\n"}
    for number in ODD[step - 1 :: 12]:
        check(MappingTree({**files, "contract.yaml": with_number(place, number).encode()}), path="t", folder="t")


@pytest.mark.parametrize("number", ODD[::4])
def test_an_odd_number_in_another_document_is_an_error_or_a_document(number: str) -> None:
    recipe = (ROOT / "demo/recipe.yaml").read_text()
    rules = (ROOT / "skillpm/layout/templates/cli/synthesis.yaml.template").read_text()
    manifest = "manifest: 1\nversion: 1.0\nhooks: 1\nverifier: {idle_at_most: 0.2, wrong_at_most: 0.9}\n"
    documents: list[tuple[str, type[BaseModel]]] = [
        (recipe, Recipe), (rules, SynthesisDocument), (manifest, Manifest)
    ]  # fmt: skip
    for text, model in documents:
        places = list(re.finditer(r"(?<=[:\[ ])[0-9][0-9.e-]*(?=[\n,}\]])", text))
        assert len(places) >= 4
        for place in places:
            with contextlib.suppress(DocumentError):
                read_model(model, text[: place.start()] + number + text[place.end() :])


def works(contract: Contract) -> None:
    """Sample, render and judge as the commands do; only an error of ours may be raised."""
    for tool in contract.tools:
        for seed in range(2):
            try:
                answer = contract.sample(tool, random.Random(seed))
                text = contract.render(answer)
            except SkillpmError:
                continue
            assert all(math.isfinite(value) for value in answer["args"].values() if isinstance(value, float))
            assert json.loads(text)
            assert contract.judge(answer, text).status == "passed", (answer, text)
            contract.judge(answer, text.replace("1", "1e400").replace("5", "-0"))
            contract.argv(answer)
    assert contract.prompt is not None

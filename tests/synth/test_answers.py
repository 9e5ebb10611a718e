"""Expected answers: what is compiled and what is remembered changes no text and lets no wrong answer through."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.contract import Contract, answer_text
from skillpm.errors import DocumentError
from skillpm.model.contract import ContractDocument
from skillpm.model.task import canonical_json
from skillpm.synth.answers import Answers

PROPERTIES = {
    "port": {"type": "integer", "maximum": 3},
    'na%s"me': {"enum": [None, "a", "-a", True, 1, "é%d"]},
    "on": {"type": "boolean"},
    "deep": {"properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}},
}
SCHEMA: dict[str, Any] = {"type": "object", "properties": PROPERTIES, "required": ["port"]}
NAME = {"value": 'na%s"me'}
DASHES = {"flag": "--", "if": "on"}
TOOLS: dict[str, dict[str, Any]] = {
    "by argument": {"argv": ["x", {"flag": "--port", "value": "port"}, NAME, {"flag": "--on", "if": "on"}]},
    "no command": {},
    "values of one argument decide about another": {
        "input_schema": {**SCHEMA, "if": {"properties": {"port": {"const": 1}}}, "then": {"required": ["on"]}}
    },
    "a number of arguments": {"input_schema": {**SCHEMA, "minProperties": 2}},
    "an argument decides if a value is a word": {"argv": ["x", {**NAME, "if": "on"}]},
    "dashes decide if a value is a word": {"argv": ["x", DASHES, NAME]},
}
BY_ARGUMENT = {"by argument", "no command"}
VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, 2, 4, "a", "-a", "é%d", "", {}, {"x": 1}, [1]])
CALLS = st.dictionaries(st.sampled_from([*PROPERTIES, "other"]), VALUES, max_size=4)
GRID = [
    dict(zip(PROPERTIES, values, strict=False))
    for values in product([1, 2, None], ["a", "-a", None], [True, False, None])
]


def contract(**tool: Any) -> Contract:
    document = {"contract": 1, "tools": [{"name": "t", "input_schema": SCHEMA, **tool}], "answers": ["call", "refuse"]}
    return Contract(ContractDocument.model_validate(document))


CONTRACTS = {name: contract(**tool) for name, tool in TOOLS.items()}


@pytest.mark.parametrize("name", TOOLS)
@given(calls=st.permutations(GRID), others=st.lists(CALLS, max_size=20))
def test_an_answer_is_what_the_contract_completes_whatever_was_seen_before(
    name: str, calls: list[Any], others: list[Any]
) -> None:
    answers = Answers(CONTRACTS[name])
    targets = [{"tool": "t", "args": arguments} for arguments in [*calls, *others]]
    for target in [*targets, *others, {"refuse": "off_topic"}, {"args": {"port": 1}, "tool": "t"}]:
        try:
            completed = CONTRACTS[name].complete(target)
        except DocumentError as error:
            with pytest.raises(DocumentError, match=re.escape(str(error))):
                answers.of(target)
        else:
            answer, text = answers.of(target), answer_text(completed)
            assert json.dumps(answer.expected, ensure_ascii=False) == answer.text == text
            assert answer.canonical == canonical_json(json.loads(text))


@pytest.mark.parametrize("name", TOOLS)
def test_arguments_are_judged_one_by_one_where_nothing_ties_them(name: str) -> None:
    assert CONTRACTS[name].judges_by_argument("t") == (name in BY_ARGUMENT)


def test_many_values_leave_the_memory_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillpm.synth.answers._KNOWN", 2)
    answers = Answers(CONTRACTS["no command"])
    for port in (-5, -4, -3, -5):
        assert answers.of({"tool": "t", "args": {"port": port}}).expected["args"]["port"] == port
    with pytest.raises(DocumentError):
        answers.of({"tool": "t", "args": {"port": 4}})
    assert all(len(known) <= 2 for known in answers._calls["t"].passed)


NUMBERS = st.sampled_from([-2, -1, 0, 1, 1.0, 0.5, 2**61 - 1])
SETS = st.lists(st.sampled_from(["a", "A", "b", "'", "', 'b"]), max_size=2)


@given(*[st.fixed_dictionaries({"number": NUMBERS, "near": NUMBERS, "set": SETS})] * 2)
def test_answers_have_one_identity_exactly_where_their_keys_are_equal(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Python's hash does not: it is the same for -1 and -2, and an answer of each to one request is a contradiction."""
    numbers = {"type": "number"}
    properties = {"number": numbers, "near": numbers, "set": {"type": "array", "items": {"type": "string"}}}
    tool = {
        "name": "t",
        "input_schema": {"type": "object", "properties": properties},
        "compare": {"set": "set", "near": "number±0.1"},
    }
    contract = Contract(ContractDocument.model_validate({"contract": 1, "tools": [tool]}))
    answers = Answers(contract)
    identities = [answers.identity(answers.of({"tool": "t", "args": args})) for args in (one, other)]
    keys = [[contract.key_of("t", name, args[name]) for name in properties] for args in (one, other)]
    assert (identities[0] == identities[1]) == (keys[0] == keys[1])

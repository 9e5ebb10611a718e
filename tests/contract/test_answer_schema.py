"""The schema of whole answers accepts what the contract accepts, and a grammar made of it writes nothing else."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llguidance
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from skillpm.contract.answer_schema import answer_schema
from skillpm.contract.contract import Contract
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.answer_kind import KINDS
from skillpm.model.contract import ContractDocument
from skillpm.train.hf.grammar import JSON_FORM

ROOT = Path(__file__).parent.parent.parent
BYTES = llguidance.LLTokenizer("byte")
LENGTH = 2000
SCHEMAS: dict[str, dict[str, Any]] = {
    "kinds": {
        "properties": {
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "ratio": {"type": "number", "minimum": 0, "maximum": 1},
            "mode": {"enum": ["fast", 'sl"ow', "ünï"]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 3},
            "quiet": {"type": "boolean"},
            "digest": {"type": "string", "pattern": "^[0-9a-f]{4}$", "examples": ["00ff", "abcd"]},
        },
        "required": ["port"],
    },
    "nested": {
        "properties": {
            "who": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 4}, "age": {"type": "integer", "maximum": 9}},
                "required": ["name"],
                "additionalProperties": False,
            },
            "many": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/pair"}},
        },
        "$defs": {
            "pair": {
                "type": "object",
                "properties": {"a/b": {"const": 1}, "c": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}},
                "required": ["c"],
                "additionalProperties": False,
            }
        },
    },
    "none": {"properties": {}},
}


def contract_of(*names: str, answers: Sequence[str] = ("call",)) -> Contract:
    tools = [
        {
            "name": name,
            "description": "Does it.",
            "input_schema": {"type": "object", "additionalProperties": False, **SCHEMAS[name]},
        }
        for name in names
    ]
    document = {"contract": 1, "system_prompt": "Answer.", "answers": answers, "tools": tools}
    return Contract(ContractDocument.model_validate(document))


def shipped(name: str) -> Contract:
    document = read_yaml((ROOT / "skills" / name / "contract.yaml").read_text(), path="contract.yaml")
    return Contract(ContractDocument.model_validate(document))


CONTRACTS = {
    "all": contract_of(*SCHEMAS),
    "replies": contract_of("kinds", "none", answers=KINDS),
    **{name: shipped(name) for name in ("incident-triage", "langgraph-cli", "shell-tools")},
}


def matcher(contract: Contract) -> llguidance.LLMatcher:
    schema = json.dumps(answer_schema(contract.tools.values(), contract.replies.kinds))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=JSON_FORM)
    made = llguidance.LLMatcher(BYTES, grammar, log_level=0)
    assert not made.is_error(), made.get_error()
    return made


MATCHERS = {name: matcher(contract) for name, contract in CONTRACTS.items()}


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=25)
@given(seed=st.integers(0, 10**9))
def test_every_answer_as_a_model_is_trained_to_write_it_is_accepted(name: str, seed: int) -> None:
    chance, contract = random.Random(seed), CONTRACTS[name]
    tool = chance.choice([tool for tool in contract.tools if tool != "nested"])  # which the sampler does not know
    assert_accepted(name, contract.render(contract.sample(tool, chance)))


def assert_accepted(name: str, text: str) -> None:
    follower = MATCHERS[name].deep_copy()
    assert follower.consume_tokens(list(text.encode())), text
    assert follower.is_accepting(), text


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"who": {"name": "Ana"}},
        {"who": {"name": "", "age": 9}, "many": [{"c": None}, {"a/b": 1, "c": True}]},
        {"many": []},
    ],
)
def test_objects_inside_arguments_may_have_nulls_for_what_is_absent(arguments: dict[str, Any]) -> None:
    assert_accepted("all", CONTRACTS["all"].render({"tool": "nested", "args": arguments}))


REPLIES: list[dict[str, Any]] = [
    {"tool": "kinds", "ask": ["digest", "port"]},
    {"refuse": "off_topic"},
    {"refuse": "not_allowed"},
    {"answer": 'A "text"\nof two lines'},
]


@pytest.mark.parametrize("answer", REPLIES)
def test_an_answer_that_calls_nothing_is_accepted_where_the_contract_takes_it(answer: dict[str, Any]) -> None:
    text = CONTRACTS["replies"].render(answer)
    assert_accepted("replies", text)
    assert not MATCHERS["all"].deep_copy().consume_tokens(list(text.encode()))


@pytest.mark.parametrize("text", ['{"tool": "none", "ask": []}', '{"tool": "kinds", "ask": []}', '{"refuse": "busy"}'])
def test_the_grammar_writes_no_question_about_nothing_and_no_other_reason(text: str) -> None:
    assert not MATCHERS["replies"].deep_copy().consume_tokens(list(text.encode()))


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=25)
@given(seed=st.integers(0, 10**9))
def test_whatever_the_grammar_writes_is_an_answer_that_the_contract_would_run(name: str, seed: int) -> None:
    text = walk(MATCHERS[name].deep_copy(), random.Random(seed))
    if text is None:
        return
    contract = CONTRACTS[name]
    value = json.loads(text)
    problems = contract.problems(value)
    assert not problems or says_more(contract, value["tool"]), (text, problems)


def says_more(contract: Contract, tool: str) -> bool:
    """Does a contract demand what no grammar of JSON expresses: a command line's own grammar, or `not`?"""
    document = contract.tools[tool]
    return hasattr(document.argv, "command_line") or '"not"' in json.dumps(document.input_schema)


def walk(follower: llguidance.LLMatcher, chance: random.Random) -> str | None:
    """Return a random text of the grammar; None where it is still going after so many bytes."""
    written = bytearray()
    while len(written) < LENGTH:
        mask = int.from_bytes(follower.compute_bitmask(), "little")
        allowed = [token for token in range(BYTES.vocab_size) if mask >> token & 1]
        quick = [token for token in allowed if chr(token) in '",}]0'] if len(written) > LENGTH // 2 else []
        token = chance.choice([BYTES.eos_token] if BYTES.eos_token in allowed else quick or allowed)
        if token == BYTES.eos_token:
            return written.decode()
        assert follower.consume_token(token)
        written.append(token)
    return None


def test_a_schema_that_says_which_properties_go_together_still_accepts_every_valid_answer() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        "additionalProperties": False,
    }
    document = {
        "contract": 1,
        "system_prompt": "Answer.",
        "tools": [{"name": "either", "description": "Does it.", "input_schema": schema}],
    }
    contract = Contract(ContractDocument.model_validate(document))
    text = contract.render({"tool": "either", "args": {"b": 2}})
    follower = matcher(contract)
    assert follower.consume_tokens(list(text.encode())) and follower.is_accepting()


BOUNDS = st.sampled_from([-1e6, -99.9, -1, -1e-5, 0, 1e-7, 0.25, 1, 1.5, 7, 1e6]).map(float)
NUMBERS = st.one_of(
    BOUNDS,
    BOUNDS.map(lambda bound: bound * 1.001),
    st.floats(-1e300, 1e300).filter(lambda number: number == 0 or abs(number) >= 1e-80),
    st.integers(-(10**19), 10**19),
)
RANGES = st.fixed_dictionaries(
    {"type": st.sampled_from(["number", "integer", ["number", "null"]])},
    optional=dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), BOUNDS),
)


@settings(max_examples=100)
@given(number=RANGES, values=st.lists(NUMBERS, min_size=1), seed=st.integers(0, 10**9))
def test_numbers_of_any_size_and_bounds_are_written_where_the_contract_takes_them(
    number: dict[str, Any], values: list[float], seed: int
) -> None:
    """Tiny and huge numbers, too, which Python writes with an exponent; no text has one, so none is out of range."""
    schema = {"type": "object", "properties": {"x": number}, "required": ["x"], "additionalProperties": False}
    tool = {"name": "t", "description": "Does it.", "input_schema": schema}
    try:
        document = ContractDocument.model_validate({"contract": 1, "system_prompt": "Answer.", "tools": [tool]})
        made = matcher(Contract(document))
    except (ValidationError, AssertionError) as error:
        assert re.search("leave no value|[Uu]nsatisfiable", str(error)), error
        reject()
    contract = Contract(document)
    for value in values:
        call = {"tool": "t", "args": {"x": value}}
        is_right = not contract.problems(call)
        text = contract.render(call) if is_right else json.dumps(call)
        follower = made.deep_copy()
        taken = follower.consume_tokens(list(text.encode())) and follower.is_accepting()
        assert taken == is_right, (text, number)
    written = walk(made.deep_copy(), random.Random(seed))
    assert written is None or not contract.problems(json.loads(written)), (written, number)


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (
            {"type": ["number", "object"], "properties": {"row": {"type": "integer"}}, "additionalProperties": False},
            (-2.5, {"row": 7}),
        ),
        # the engine itself takes a multiple of 0.25 with two decimals alone; that it is one is left to the verifier
        ({"type": "number", "minimum": 0, "multipleOf": 0.25}, (0, 0.5, 1.5, 19.75)),
    ],
    ids=["a number or an object", "multiples of a fraction"],
)
def test_values_are_taken_as_models_are_trained_to_write_them(place: dict[str, Any], values: tuple[Any, ...]) -> None:
    schema = {"type": "object", "properties": {"place": place}, "required": ["place"], "additionalProperties": False}
    tool = {"name": "go", "description": "Does it.", "input_schema": schema}
    contract = Contract(ContractDocument.model_validate({"contract": 1, "system_prompt": "Answer.", "tools": [tool]}))
    for value in values:
        text, follower = contract.render({"tool": "go", "args": {"place": value}}), matcher(contract)
        assert follower.consume_tokens(list(text.encode())) and follower.is_accepting(), text

"""A model's own form of a tool call is read into the contract's one form, or left as it was written."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.native import AnswerForm, read_native
from tests.serving import compiled

CONTRACT = compiled(
    """
contract: 1
tools:
  - name: dev
    input_schema: {type: object, properties: {port: {type: integer}, host: {type: string}, quiet: {type: boolean}}}
"""
)
GOLD = {"tool": "dev", "args": {"port": 8123, "host": "a </tool_call> </think> <|call|> b", "quiet": None}}
ARGUMENTS = json.dumps({"port": 8123, "host": GOLD["args"]["host"]})  # type: ignore[index]
CALL = f'{{"name": "dev", "arguments": {ARGUMENTS}}}'

CALLS: list[tuple[AnswerForm, str]] = [
    ("json", CONTRACT.render(GOLD)),
    ("hermes", f"<tool_call>\n{CALL}\n</tool_call>"),
    ("hermes", f"<think>port?</think>\n<tool_call>{CALL}</tool_call>\n"),
    ("llama", CALL.replace("arguments", "parameters")),
    ("llama", f"<|python_tag|>{CALL.replace('arguments', 'parameters')}<|eom_id|>"),
    ("mistral", f"[TOOL_CALLS]dev[ARGS]{ARGUMENTS}"),
    ("mistral", f"[TOOL_CALLS]dev[CALL_ID]abc123XYZ[ARGS]{ARGUMENTS}</s>"),
    ("mistral", f"[TOOL_CALLS] [{CALL}]"),
    ("mistral", f"[THINK]Which port? [/THINK][TOOL_CALLS]dev[ARGS]{ARGUMENTS}</s>"),
    ("hermes", f"which port?</think>\n<tool_call>{CALL}</tool_call>"),
    ("llama", f'{{"type": "function", "name": "dev", "parameters": {ARGUMENTS}}}<|eot_id|>'),
    ("llama", f"<think>{{}}</think>{CALL.replace('arguments', 'parameters')}"),
    (
        "deepseek",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"
        f"dev<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    (
        "deepseek",
        "<think>hm</think>\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>dev\n"
        f"```json\n{ARGUMENTS}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
    ),
]
HARMONY_ARGUMENTS = json.dumps({"port": 8123, "host": "a b"})
HARMONY = [
    f"<|channel|>commentary to=functions.dev <|constrain|>json<|message|>{HARMONY_ARGUMENTS}<|call|>",
    "<|channel|>analysis<|message|>Which port?<|end|><|start|>assistant<|channel|>commentary to=functions.dev "
    f"<|constrain|>json<|message|>{HARMONY_ARGUMENTS}<|call|>",
    f"<|start|>assistant to=functions.dev<|channel|>commentary json<|message|>{HARMONY_ARGUMENTS}",
]
NOT_CALLS: list[tuple[AnswerForm, str]] = [
    ("hermes", CONTRACT.render(GOLD)[:-1]),
    ("hermes", f"Sure: <tool_call>{CALL}</tool_call>"),
    ("hermes", f"<tool_call>{CALL}</tool_call><tool_call>{CALL}</tool_call>"),
    ("hermes", "<tool_call>{</tool_call>"),
    ("llama", CALL),
    ("mistral", f"[TOOL_CALLS][{CALL}, {CALL}]"),
    ("mistral", "[TOOL_CALLS]dev[ARGS]{'port': 1}"),
    ("mistral", f"[THINK]Which port? [TOOL_CALLS]dev[ARGS]{ARGUMENTS}"),
    ("deepseek", f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>dev<｜tool▁sep｜>{ARGUMENTS}<｜tool▁calls▁end｜>"),
    ("harmony", f"<|channel|>final<|message|>{CALL}<|return|>"),
    ("harmony", HARMONY[0] + HARMONY[0]),
    ("harmony", HARMONY_ARGUMENTS),
]


@pytest.mark.parametrize(("form", "completion"), CALLS)
def test_one_call_of_the_form_is_the_answer(form: AnswerForm, completion: str) -> None:
    assert CONTRACT.judge(GOLD, read_native(form, completion, CONTRACT.tools)).status == "passed"


@pytest.mark.parametrize("completion", HARMONY)
def test_a_call_on_harmony_channels_is_the_answer(completion: str) -> None:
    expected = {"tool": "dev", "args": {"port": 8123, "host": "a b"}}
    assert CONTRACT.judge(expected, read_native("harmony", completion, CONTRACT.tools)).status == "passed"


@pytest.mark.parametrize(("form", "completion"), NOT_CALLS)
def test_what_is_not_exactly_one_call_stays_as_it_was_and_fails(form: AnswerForm, completion: str) -> None:
    assert read_native(form, completion, CONTRACT.tools) == completion
    assert CONTRACT.judge(GOLD, completion).status == "failed"


def test_a_wrong_call_fails_as_a_wrong_answer_does() -> None:
    wrong = read_native("hermes", '<tool_call>{"name": "rm", "arguments": {}}</tool_call>', CONTRACT.tools)
    assert "unknown tool" in CONTRACT.judge(GOLD, wrong).reasons[0]


FORMS: list[AnswerForm] = ["hermes", "llama", "mistral", "deepseek", "harmony"]
PIECES = [
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "dev",
    CALL,
    "{",
    "}",
    "[",
    "]",
    "<|channel|>",
    "analysis",
]
PIECES += [
    "<|message|>",
    "<|end|>",
    "<|call|>",
    "<|start|>",
    " to=functions.dev",
    "<think>",
    "</think>",
    "\ud800",
    "<|python_tag|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
]


@given(st.sampled_from(FORMS), st.lists(st.sampled_from(PIECES), max_size=12))
def test_any_text_is_read_or_left_alone(form: AnswerForm, pieces: list[str]) -> None:
    text = read_native(form, "".join(pieces), CONTRACT.tools)
    assert text == "".join(pieces) or json.loads(text).keys() == {"tool", "args"}


def test_a_long_text_of_tags_ends() -> None:
    chance = random.Random(1)
    for form in FORMS:
        text = "".join(chance.choice(PIECES[:-5]) for _ in range(4000))
        read_native(form, text, CONTRACT.tools)

"""Rows of other programs: whatever the form, request and answer are what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.contract.foreign_rows import foreign_rows
from skillpm.errors import DocumentError
from skillpm.storage.row_files import read_rows

CALL = {"tool": "dev", "args": {"port": 3, "quiet": None}}
TEXT = json.dumps(CALL)
NATIVE = {"id": "1", "type": "function", "function": {"name": "dev", "arguments": json.dumps(CALL["args"])}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [NATIVE]}
OTHER = {"role": "assistant", "tool_calls": [{"function": {"name": "dev", "arguments": ""}}]}
DONE = {"role": "assistant", "content": "It has started."}
USED = {
    "role": "assistant",
    "content": [{"type": "text", "text": "Yes."}, {"type": "tool_use", "name": "dev", "input": CALL["args"]}],
}
USER = {"role": "user", "content": "go"}
ANSWER = {"role": "assistant", "content": TEXT}
SYSTEM = {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    "row",
    [
        {"request": "go", "expected": CALL},
        {"key": "k", "skill": "s", "prompt": [SYSTEM, USER], "expected": CALL, "split": "train", "origin": "rule"},
        {"messages": [SYSTEM, USER, ANSWER]},
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [NATIVE]}, {"role": "tool"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "go"}]},
                {"role": "assistant", "content": TEXT},
            ]
        },
        {"messages": [USER, {"role": "assistant", "content": None, "function_call": NATIVE["function"]}]},
        {"messages": [USER, USED, {"role": "user", "content": [{"type": "tool_result", "content": "on"}]}, DONE]},
        {"messages": [USER, USED, DONE, {"role": "user", "content": "stop"}, CALLING]},
        {"messages": [USER, CALLING, {"role": "tool", "content": "busy"}, CALLING, DONE]},  # tried again
        {"messages": [USER, {"role": "assistant", "content": "I start it."}, CALLING, DONE]},
        {"prompt": "go", "completion": TEXT},
        {"prompt": [SYSTEM, USER], "completion": [ANSWER]},
        {"prompt": [USER], "chosen": [ANSWER], "rejected": []},
        {"prompt": "go", "chosen": TEXT, "rejected": "x"},
        {"responses_create_params": {"input": [SYSTEM, USER]}, "expected_output": CALL},
        {"responses_create_params": {"input": "go"}, "expected_answer": TEXT},
        {"request": "first words", "wording": "go", "answer": TEXT, "said": "[]"},
        {"conversations": [{"from": "human", "value": "go"}, {"from": "gpt", "value": TEXT}]},
        {"conversations": [USER, ANSWER]},
        {
            "conversations": [
                {"from": "system", "value": "s"},
                {"from": "human", "value": "go"},
                {"from": "function_call", "value": json.dumps({"name": "dev", "arguments": CALL["args"]})},
                {"from": "observation", "value": "started"},
                {"from": "gpt", "value": "It has started."},
            ]
        },
        {"instruction": "go", "input": "", "output": TEXT},
        {"input": [SYSTEM, USER], "ideal": TEXT},
        {"id": 1, "prompt": "go", "expected_output": TEXT, "expectations": ["one object"]},
        {"id": "a", "question": "go", "expected_skill": "s", "ground_truth": TEXT, "expected_behavior": []},
    ],
)
def test_each_form_gives_the_request_and_the_answer(row: dict[str, Any]) -> None:
    (read,) = foreign_rows([(7, row)], path="f")
    assert (read.line, read.request, read.expected) == (7, "go", CALL)


@pytest.mark.parametrize("answer", [TEXT, CALL, "42", 42, ""])
def test_a_row_of_ours_keeps_its_answer_as_it_is(answer: Any) -> None:
    gym = {"responses_create_params": {"input": "go"}, "expected_output": answer, "verifier_metadata": {"skill": "s"}}
    for row in (gym, {"skill": "s", "prompt": [USER], "expected": answer}):
        (read,) = foreign_rows([(1, row)], path="f")
        assert (read.expected, type(read.expected)) == (answer, type(answer))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": [USER, {"role": "assistant", "tool_calls": [NATIVE, *OTHER["tool_calls"]]}]}, "several calls"),
        ({"messages": [USER, CALLING, {"role": "tool", "content": "on"}, OTHER]}, "several calls"),
        ({"messages": [USER, USED, {"role": "user", "content": [{"type": "tool_result"}]}, OTHER]}, "several calls"),
        ({"prompt": [USER], "expected": CALL, "first": [CALL]}, "follows from what others showed"),
        ({"request": "go"}, "no expected answer"),
    ],
)
def test_an_answer_that_is_not_all_of_it_is_left_out_with_its_reason(row: dict[str, Any], reason: str) -> None:
    (read,) = foreign_rows([(7, row)], path="f")
    assert (read.request, read.expected) == ("go", None) and reason in read.reason


def test_a_list_of_a_skills_own_is_no_list_of_items() -> None:
    expected = [{"type": "circle", "r": 1}, {"type": "square"}]
    (found,) = foreign_rows([(1, {"request": "go", "expected": expected})], path="f")
    assert found.expected == expected


def test_what_a_tool_without_arguments_is_called_with_is_an_empty_object() -> None:
    assert foreign_rows([(1, {"messages": [USER, OTHER]})], path="f")[0].expected == {"tool": "dev", "args": {}}


def test_what_says_in_words_what_is_right_expects_nothing() -> None:
    row = {"prompt": "go", "expected_output": "A server runs.", "assertions": []}
    assert foreign_rows([(1, row)], path="f")[0].expected is None
    assert foreign_rows([(1, {"prompt": "go", "completion": "Paris"})], path="f")[0].expected == "Paris"


def test_an_instruction_keeps_what_it_is_about() -> None:
    row = {"instruction": "translate", "input": "two words", "output": "x"}
    assert foreign_rows([(1, row)], path="f")[0].request == "translate\n\ntwo words"


@pytest.mark.parametrize("around", ["evals", "tests", "test_cases", "queries"])
def test_rows_may_stand_in_an_object(around: str, tmp_path: Path) -> None:
    path = tmp_path / "evals.json"
    path.write_text(json.dumps({"skill_name": "x", around: [{"query": "go", "should_trigger": True}]}))
    (row,) = foreign_rows(read_rows(path), path="f")
    assert (row.request, row.expected) == ("go", None)
    path.write_text(json.dumps({"request": "go", "expected": CALL, around: ["a text"]}))  # one row
    (row,) = foreign_rows(read_rows(path), path="f")
    assert (row.request, row.expected) == ("go", CALL)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"messages": []},
        {"messages": [SYSTEM]},
        [],
        "text",
        None,
        {"prompt": [], "completion": "x"},
        {"prompt": " "},
    ],
)
def test_a_row_of_no_known_form_is_named(row: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        foreign_rows([(3, row)], path="f")
    assert caught.value.line == 3

"""Answers in a file, asked like a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.agent.recorded import RecordedPolicy, recorded_file
from skillpm.errors import UsageError
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from skillpm.ops.context import Context
from skillpm.ops.learning.models import PolicyRequest, load_policy
from skillpm.settings import load_settings


def prompts(*requests: str) -> list[list[Message]]:
    system = Message(role="system", content="Be brief.")
    return [[system, Message(role="user", content=request)] for request in requests]


def test_each_prompt_gets_the_answer_to_its_request(tmp_path: Path) -> None:
    rows = [
        {"request": "b", "completion": "two", "id": 7, "verdict": None},
        {"request": "a", "completion": "öne", "finish_reason": "length", "prompt_tokens": 9, "completion_tokens": 2},
    ]
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    policy = RecordedPolicy(file)
    answers = dict(policy.complete(prompts("a", "b", "a"), max_new_tokens=1))
    one, two = Completion("öne", 9, 2, "length"), Completion("two", 0, 0, "stop")
    assert answers == {0: one, 1: two, 2: one}
    with pytest.raises(UsageError, match="has no answer to `c`"):
        list(policy.complete(prompts("a", "c"), max_new_tokens=1))
    file.write_text(file.read_text().replace("two", "too"))
    assert RecordedPolicy(file).settings != policy.settings, "an arm says which answers it has"


def test_half_a_character_of_an_answer_is_replaced(tmp_path: Path) -> None:
    """A program that cuts answers as UTF-16 leaves a lone surrogate, which no file of ours can hold."""
    file = tmp_path / "answers.jsonl"
    said = [{"role": "assistant", "content": "\ud83d"}]
    rows = [{"request": "a", "completion": "cut \ud83d"}, {"request": "b", "completion": "", "messages": said}]
    file.write_text("\n".join(map(json.dumps, rows)))
    answers = dict(RecordedPolicy(file).complete(prompts("a", "b"), max_new_tokens=1))
    assert [answers[place].text for place in (0, 1)] == ["cut \ufffd", "\ufffd"]


def test_an_episode_gets_its_recorded_answers_one_after_the_other(tmp_path: Path) -> None:
    said = [
        {"role": role, "content": text} for role, text in [("assistant", "look"), ("tool", "a"), ("assistant", "two")]
    ]
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({"request": "b", "completion": "two", "finish_reason": "length", "messages": said}))
    policy = RecordedPolicy(file)
    (first,) = prompts("b")
    second = [*first, Message(role="assistant", content="look"), Message(role="user", content="a")]
    third = [*second, Message(role="assistant", content="two"), Message(role="user", content="b")]
    answers = dict(policy.complete([first, second], max_new_tokens=1))
    assert answers == {0: Completion("look", 0, 0, "stop"), 1: Completion("two", 0, 0, "length")}
    with pytest.raises(UsageError, match="2 answers to `b`, which goes on") as refusal:
        list(policy.complete([third], max_new_tokens=1))
    assert "`--turns 2`" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"request": "a", "completion": "1"}\n{"request": "a", "completion": "2"}', "jsonl:2: `a` has two answers"),
        ('\n{"request": "a"}', "jsonl:2: .*completion"),
        ('{"request": "a", "completion": "', "jsonl:1: not JSON"),
        ('{"request": "a", "completion": "", "prompt_tokens": 4294967296}', "jsonl:1: .*prompt_tokens"),
        (None, "no file"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str | None, problem: str) -> None:
    file = tmp_path / "answers.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=problem) as refusal:
        RecordedPolicy(recorded_file(str(file)))
    assert refusal.value.hint


def test_options_of_a_model_are_refused_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"request": "a", "completion": "1"}\n')
    changes: tuple[dict[str, Any], ...] = ({"dtype": "float32"}, {"adapter": tmp_path}, {"template": {"thinks": True}})
    for change in changes:
        with pytest.raises(UsageError, match="a file of answers has no model to load"):
            load_policy(replace(PolicyRequest(str(file), None, 1), **change), Context(load_settings()))
    assert load_policy(PolicyRequest(str(file), None, 1), Context(load_settings())).name == str(file)

"""A model of random weights, held to a contract, can only write answers that the contract would run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.contract.answer_schema import answer_schema
from skillpm.contract.contract import Contract
from skillpm.errors import TrainingError
from skillpm.model.contract import ContractDocument
from skillpm.model.task import Message
from skillpm.train.hf.grammar import Grammar
from skillpm.train.hf.policy import TransformersPolicy

SCHEMA = {
    "type": "object",
    "properties": {"port": {"type": "integer", "minimum": 1, "maximum": 9999}, "mode": {"enum": ["fast", "slow"]}},
    "required": ["port"],
    "additionalProperties": False,
}
CONTRACT = Contract(
    ContractDocument.model_validate(
        {
            "contract": 1,
            "system_prompt": "Answer.",
            "tools": [{"name": name, "description": "Does it.", "input_schema": SCHEMA} for name in ("dev", "up")],
        }
    )
)
PROMPTS = [[Message(role="user", content=f"start it on {port}")] for port in range(20)]


@pytest.fixture(scope="module")
def policy(tiny_model: Path) -> TransformersPolicy:
    return TransformersPolicy(tiny_model, dtype="float32", batch_size=8)


def test_every_answer_is_one_that_the_contract_would_run(policy: TransformersPolicy) -> None:
    held = policy.constrained(answer_schema(CONTRACT.tools.values()))
    answers = dict(held.complete(PROMPTS, max_new_tokens=120))
    assert {answer.finish_reason for answer in answers.values()} == {"stop"} and len(answers) == len(PROMPTS)
    for answer in answers.values():
        assert not CONTRACT.problems(json.loads(answer.text)), answer.text


@pytest.mark.parametrize("batch_size", [1, 8])
def test_tokens_without_a_choice_cost_no_step_and_change_no_answer(
    tiny_model: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = TransformersPolicy(tiny_model, dtype="float32", batch_size=batch_size)
    held, passes = policy.constrained(answer_schema(CONTRACT.tools.values())), list[int]()
    policy._model.register_forward_hook(lambda *_: passes.append(1))

    def answers() -> dict[int, tuple[str, int, str]]:
        passes.clear()
        found = dict(held.complete(PROMPTS[:8], max_new_tokens=120))
        return {index: (item.text, item.completion_tokens, item.finish_reason) for index, item in found.items()}

    skipping, fewer = answers(), len(passes)
    monkeypatch.setattr(Grammar, "forced", lambda self, matchers, most: [[] for _ in matchers])
    assert answers() == skipping
    # rows side by side skip only what all of them can skip
    assert fewer < {1: 0.5, 8: 1}[batch_size] * len(passes), (fewer, len(passes))


def test_the_model_itself_stays_free(policy: TransformersPolicy) -> None:
    before = dict(policy.complete(PROMPTS[:4], max_new_tokens=12))
    policy.constrained(answer_schema(CONTRACT.tools.values()))
    assert dict(policy.complete(PROMPTS[:4], max_new_tokens=12)) == before


@pytest.mark.parametrize("schema", [{"type": "string", "pattern": "(?=a)b"}, {"$ref": "#/nowhere"}])
def test_a_schema_that_no_grammar_can_be_made_of_is_a_clean_error(
    policy: TransformersPolicy, schema: dict[str, Any]
) -> None:
    with pytest.raises(TrainingError, match="cannot be held to the contract"):
        policy.constrained(schema)


SHORT = Contract(
    ContractDocument.model_validate(
        {
            "contract": 1,
            "system_prompt": "Answer.",
            "answers": ["call", "ask"],
            "tools": [
                {
                    "name": "go",
                    "description": "Does it.",
                    "input_schema": {
                        "type": "object",
                        "properties": {
                            "n": {"type": "integer", "minimum": -9, "maximum": 120},
                            "s": {"type": ["string", "null"], "maxLength": 3},
                            "l": {"type": "array", "items": {"enum": ["a", 1, None]}, "maxItems": 3},
                        },
                        "required": ["n"],
                        "additionalProperties": False,
                    },
                }
            ],
        }
    )
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_ten_thousand_drawn_answers_none_is_invalid(tiny_model: Path) -> None:
    """A model of random weights at a high temperature tries whatever the grammar lets it write."""
    policy = TransformersPolicy(tiny_model, dtype="float32", batch_size=250).sampled(4.0, seed=0)
    held = policy.constrained(answer_schema(SHORT.tools.values(), SHORT.replies.kinds))
    prompts = [[Message(role="user", content=f"go {number}")] for number in range(10_000)]
    answers = [answer for _, answer in held.complete(prompts, max_new_tokens=160)]
    assert len(answers) == len(prompts) and {answer.finish_reason for answer in answers} == {"stop"}
    assert [answer.text for answer in answers if SHORT.problems(json.loads(answer.text))] == []
    assert len({answer.text for answer in answers}) > 1_000

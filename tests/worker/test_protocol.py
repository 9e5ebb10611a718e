"""A reply has what was asked for and little more: whoever sends more is not read."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from skillpm.errors import VerifierError
from skillpm.model.verdict import MAX_COMPONENTS, MAX_NAME, MAX_REASON, MAX_REASONS, Verdict
from skillpm.runtime.described import Described
from skillpm.sandbox.limits import Limits
from skillpm.worker.protocol import Judged, ReplyBudget, encode, read_reply

VERDICT: dict[str, Any] = {"status": "failed", "score": 0.0}
BUDGET = ReplyBudget.of(Limits(), 2, 1000)


def judged(payload: bytes, budget: ReplyBudget = BUDGET) -> Judged:
    return read_reply(Judged, payload, 1, budget)


def reply(verdict: dict[str, Any] | None = None, items: Any = ((0, None), (0, None)), **grade: Any) -> bytes:
    return encode({"number": 1, "grades": [{"verdict": {**VERDICT, **(verdict or {})}, **grade}], "items": items})


def test_the_budget_follows_from_what_was_asked() -> None:
    assert BUDGET.size < 2 << 20 and BUDGET.values < 20_000
    many = ReplyBudget.of(Limits(), 4096, 1 << 24)
    assert many.size == Limits().frame_bytes and BUDGET.values < many.values < 3_000_000


def test_the_most_that_a_judgement_may_have_is_read() -> None:
    full = {
        "reasons": ["," * MAX_REASON] * MAX_REASONS,
        "components": {f"{number:>{MAX_NAME}}": 0.5 for number in range(MAX_COMPONENTS)},
    }
    assert len(judged(reply(full)).judgements(2, {})) == 2


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (reply({"reasons": ["x"] * (MAX_REASONS + 1)}), "65 reasons"),
        (reply({"reasons": ["x" * (MAX_REASON + 1)]}), "reasons"),
        (reply({"components": {str(number): 0.5 for number in range(MAX_COMPONENTS + 1)}}), "65 components"),
        (reply({"components": {"x" * (MAX_NAME + 1): 0.5}}), "name is longer"),
        (reply(rewards={str(number): 0.5 for number in range(300)}), "rewards"),
        (reply(failures=[{"reward": "a", "kind": "raised", "reason": "b"}] * 300), "failures"),
        (reply(items=[[0, None]] * 10_000), "values"),
        (reply(items=[[0, [["a"] * 20_000]], [0, None]]), "values"),
        (reply()[:-1] + b', "number": 1}', "duplicate key `number`"),
        (reply().replace(b'"score"', b'"score": 1.0, "score"'), "duplicate key `score`"),
        (b"[" * 5_000, "malformed"),
        (b'{"number": 1', "malformed"),
        (b"\xff", "malformed"),
        (reply().replace(b'"number":1', b'"number":' + b"9" * 5_000), "malformed"),
        (reply().replace(b"0.0", b"1e999"), "out of range"),
    ],
)
def test_more_than_that_is_refused_and_says_what(payload: bytes, reason: str) -> None:
    with pytest.raises(VerifierError, match=reason):
        judged(payload)


@pytest.mark.parametrize("count", [1, 3])
def test_there_is_one_judgement_for_each_answer(count: int) -> None:
    with pytest.raises(VerifierError, match=f"2 judgements for {count} answers"):
        judged(reply()).judgements(count, {})


def test_millions_of_values_are_refused_before_they_are_parsed() -> None:
    payload = b'{"number":1,"items":[' + b"[0,null]," * 7_000_000
    start = time.process_time()
    with pytest.raises(VerifierError, match="values"):
        judged(payload, ReplyBudget.of(Limits(), 4096, 1 << 20))
    assert time.process_time() - start < 5


def test_what_a_skill_contributes_is_bounded() -> None:
    rewards = [{"name": str(number), "plugin": "plugin.py"} for number in range(1000)]
    with pytest.raises(VerifierError, match="rewards"):
        read_reply(Described, json.dumps({"number": 1, "rewards": rewards}).encode(), 1, ReplyBudget(1 << 23, 1 << 19))


def test_a_verdict_of_many_reasons_is_shortened_not_lost() -> None:
    verdict = Verdict(status="failed", score=0.0, reasons=tuple(map(str, range(100)))).shortened()
    assert len(verdict.reasons) == MAX_REASONS and verdict.reasons[-2:] == ("62", "and 37 more")
    assert verdict.excess() is None and verdict.shortened() is verdict

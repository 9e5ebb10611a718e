"""Answers in the form of skillpm's prompts, read as the benchmark's checkers take them, and the verdicts on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from skillpm.plugin import Verdict, after_thoughts

MISS, WRONG = 0.0, 0.2
PASSED = Verdict(status="passed", score=1.0, components={"exact": 1.0, "parsed": 1.0})

Call = tuple[str, dict[str, Any]]
"""A function's name, and its arguments."""


def failed(score: float, *reasons: str) -> Verdict:
    """Return the verdict on a wrong answer; with the score ``MISS``, one that could not be read."""
    parsed = float(score > MISS)
    short = tuple(reason[:500] for reason in reasons)
    return Verdict(status="failed", score=score, components={"exact": 0.0, "parsed": parsed}, reasons=short)


def calls_of(completion: str) -> Sequence[Call]:
    """Return the calls of an answer, one JSON object or a list of them; empty if it is anything else."""
    try:
        answer = json.loads(after_thoughts(completion))
    except (ValueError, RecursionError):
        return ()
    calls = [_call(item) for item in (answer if isinstance(answer, list) else [answer])]
    return () if None in calls else [call for call in calls if call is not None]


def _call(answer: Any) -> Call | None:
    if not isinstance(answer, dict) or answer.keys() != {"tool", "args"}:
        return None
    name, arguments = answer["tool"], answer["args"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, {key: value for key, value in arguments.items() if value is not None}

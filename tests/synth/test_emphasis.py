"""Rules get more weight the more often they were wrong, at most four times, and the others keep theirs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.model.evaluation import Record
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.verdict import Verdict
from skillpm.synth.emphasis import MOST, emphases, emphasised

TASKS: list[dict[str, Any]] = [
    {
        "name": "open", "weight": 2, "tool": "open", "draw": {"port": {"from": [1, 2]}}, "args": {"port": "{port}"},
        "requests": ["open {port}"], "ask": {"slots": ["port"], "weight": 0.5, "requests": ["open it"]},
    },
    {"name": "shut", "tool": "shut", "requests": ["shut it"]},
    {"name": "joke", "refuse": "off_topic", "requests": ["a joke"]},
]  # fmt: skip
DOCUMENT = SynthesisDocument.model_validate({"synthesis": 1, "tasks": TASKS})
EXPECTED: dict[str, Any] = {
    "open": {"tool": "open", "args": {"port": 1}},
    "open-ask": {"tool": "open", "ask": ["port"]},
    "shut": {"tool": "shut", "args": {}},
    "joke": {"refuse": "off_topic"},
}
ANSWERS = st.lists(st.tuples(st.sampled_from([*EXPECTED]), st.booleans(), st.booleans()), max_size=40)


def record(rule: str, exact: bool, named: bool) -> Record:
    verdict = Verdict(status="passed" if exact else "failed", score=float(exact))
    return Record(
        task="1", skill="ports", suite="held_out", request="x", expected=EXPECTED[rule], completion="", argv=None,
        verdict=verdict, exact=exact, valid_json=True, finish_reason="stop", prompt_tokens=1, completion_tokens=1,
        tags=(f"rule:{rule}",) if named else (),
    )  # fmt: skip


@given(answers=ANSWERS)
def test_a_rule_gains_exactly_where_it_was_wrong_and_within_its_bound(answers: list[tuple[str, bool, bool]]) -> None:
    factors = emphases(DOCUMENT, [record(*answer) for answer in answers])
    wrong = {rule for rule, exact, _ in answers if not exact}
    assert factors.keys() == wrong and all(1 < factor < MOST for factor in factors.values())
    weights = {rule.name: rule.weight for rule in DOCUMENT.rules}
    changed = {rule.name: rule.weight for rule in emphasised(DOCUMENT, factors).rules}
    assert changed == {name: pytest.approx(weight * factors.get(name, 1)) for name, weight in weights.items()}


def test_more_failures_weigh_more_and_what_could_not_be_judged_weighs_nothing() -> None:
    often = emphases(DOCUMENT, [record("shut", False, True)] * 9)["shut"]
    rarely = emphases(DOCUMENT, [record("shut", False, True), *[record("shut", True, True)] * 8])["shut"]
    assert often == 1 + 3 * 0.9 and rarely == pytest.approx(1.3)
    outage = record("shut", False, True).model_copy(update={"verdict": Verdict.errored("no worker")})
    assert emphases(DOCUMENT, [outage]) == {}

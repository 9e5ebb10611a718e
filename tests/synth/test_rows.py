"""Rows that are offered together come out as if they were offered one by one."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.model.suite import Suite
from skillpm.model.task import Seed
from skillpm.synth.answers import Answers
from skillpm.synth.contamination import RUN, SuiteIndex
from skillpm.synth.offer import Offer
from skillpm.synth.rows import Row, RowCollector
from tests.synth.conftest import SMALL

ASKED = "please stop the server that listens on port number 5 right now"


def collector() -> RowCollector:
    suite = Suite(name="held", tasks=(Seed(request=ASKED, expected={"tool": "stop", "args": {"port": 5}}),))
    suites = SuiteIndex([("small", suite)])
    return RowCollector("small", "p", Answers(SMALL), "train", suites, (), lambda text: False)


def seen(rows: RowCollector) -> dict[str, Any]:
    profile = rows.profile(asked=0, shortage="", rephrased={})
    return {"lines": [*rows.kept], "profile": profile, "number": rows.kept.next_number}


OFFERS = st.builds(
    lambda words, port, family: Offer(family, " ".join(words), {"tool": "stop", "args": {"port": port}}),
    st.lists(st.sampled_from("abcde"), min_size=3, max_size=5),
    st.sampled_from([1, 2, 0]),
    st.sampled_from(["one", "two"]),
)


@given(st.lists(OFFERS, max_size=40), st.data())
def test_rows_that_are_offered_together_are_those_offered_one_by_one(offers: list[Offer], data: st.DataObject) -> None:
    alone, together = collector(), collector()
    one_by_one = [outcome for offer in offers for outcome in alone.take([offer])]
    cut = data.draw(st.integers(0, len(offers)))
    assert together.take(offers[:cut]) + together.take(offers[cut:]) == one_by_one
    assert seen(together) == seen(alone)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(ASKED.split()), max_size=30),
    st.integers(0, 4),
    st.integers(RUN - 1, RUN + 2),
    st.integers(0, 3),
)
def test_a_request_that_shares_a_run_with_a_suite_is_refused_wherever_the_run_stands(
    around: list[str], start: int, length: int, before: int
) -> None:
    asked = ASKED.split()
    words = [*around[::2], *asked[start : start + length], *around[1::2]] or ["x"]
    runs = {tuple(asked[place : place + RUN]) for place in range(len(asked) - RUN + 1)}
    shares = any(tuple(words[place : place + RUN]) in runs for place in range(len(words)))
    requests = [*(f"stop number {number}" for number in range(before)), " ".join(words)]
    offers = [Offer("one", request, {"tool": "stop", "args": {"port": 1}}) for request in requests]
    *_, outcome = collector().take(offers)
    assert isinstance(outcome, Row) != shares

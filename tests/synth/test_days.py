"""Days relative to a stated one: the answer has the day that a calendar has, and what leads to none is refused."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st
from pydantic import ValidationError

from skillpm.errors import DocumentError
from skillpm.model.synthesis import SynthesisDocument
from skillpm.synth.checker import text_flaws
from skillpm.synth.days import time_after
from skillpm.synth.generate import synthesise
from skillpm.synth.split import divide
from skillpm.synth.wording import contradictions
from tests.synth.conftest import given, judge

DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FRIDAY = {"value": "friday", "texts": ["next Friday", "on Friday"]}
TASK: dict[str, Any] = {
    "name": "t",
    "tool": "dev",
    "draw": {"today": {"from": "today"}, "due": {"from": "spans", "relative_to": "today"}},
    "args": {"tag": "{due}"},
    "requests": ["it is {today}, go {due}", "{today}: go {due}", "go {due}, now is {today}", "{due}, go. {today}"],
}
POOLS: dict[str, Any] = {
    "today": {"dates": ["2026-01-01", "2027-12-31"], "forms": ["%Y-%m-%d", "%A, %-d %B %Y"]},
    "spans": {"choice": [FRIDAY, {"value": "1 week", "texts": ["in a week"]}, {"value": -1, "texts": ["yesterday"]},
                         {"value": "end of month, 1 day", "texts": ["on the first of next month"]}]},
}  # fmt: skip
CIRCLE = {"a": {"from": "spans", "relative_to": "b"}, "b": {"from": "spans", "relative_to": "a"}}
CLOCKS = [{"value": "09:00", "texts": ["at nine"]}, {"value": "14:30", "texts": ["at half past two"]}]
LATER = [{"value": "90 minutes", "texts": ["an hour and a half"]}, {"value": "-2 hours", "texts": ["two hours before"]}]


def document(task: dict[str, Any] | None = None, **pools: Any) -> SynthesisDocument:
    return SynthesisDocument.model_validate({"synthesis": 1, "values": POOLS | pools, "tasks": [TASK | (task or {})]})


@given_by_hypothesis(DAYS, st.integers(-400, 400), st.sampled_from(NAMES))
def test_a_span_leads_to_the_day_of_a_calendar(day: date, count: int, name: str) -> None:
    """Each day is found by walking day after day, which knows no arithmetic of months."""

    def walk(step: int, fits: Any, start: int = 0) -> str:
        near = day + timedelta(days=start)
        while not fits(near):
            near += timedelta(days=step)
        return near.isoformat()

    def led(span: str | int) -> str:
        return time_after(day.isoformat(), span)

    assert led(count) == led(f"{count} days") == (day + timedelta(days=count)).isoformat()
    assert led(name) == walk(1, lambda near: near.weekday() == NAMES.index(name), 1)
    assert led(f"last {name}") == walk(-1, lambda near: near.weekday() == NAMES.index(name), -1)
    assert led("start of week, 1 week") == led("end of week, 1 day") == walk(1, lambda near: near.weekday() == 0, 1)
    assert led("end of month") == walk(1, lambda near: (near + timedelta(days=1)).day == 1)
    assert led("start of year") == walk(-1, lambda near: (near.month, near.day) == (1, 1))
    months = day.year * 12 + day.month + count
    reached = date.fromisoformat(led(f"{count} months"))
    assert reached.year * 12 + reached.month == months
    assert reached.day == day.day or (reached.day < day.day and (reached + timedelta(days=1)).day == 1)


@pytest.mark.parametrize(
    ("start", "span", "reached"),
    [
        ("2026-03-01", "friday, 09:30", "2026-03-06T09:30:00"),
        ("2026-03-01T23:30", "45 minutes", "2026-03-02T00:15:00"),
        ("2026-03-01T09:00:00+01:00", "tuesday, -10 hours", "2026-03-02T23:00:00+01:00"),
        ("2026-01-31T12:00:00Z", "1 month", "2026-02-28T12:00:00Z"),
        ("2026-01-31T12:00:00Z", "end of year, 18:00", "2026-12-31T18:00:00Z"),
        ("2026-01-31", "08:00-05:00, 30 seconds", "2026-01-31T08:00:30-05:00"),
    ],
)
def test_a_time_keeps_its_hour_and_its_offset(start: str, span: str, reached: str) -> None:
    assert time_after(start, span) == reached


def test_a_slot_may_count_from_one_that_counts_from_another() -> None:
    """In whatever order they are drawn: the answer has the sum of both spans."""
    draw = {"due": {"from": "later", "relative_to": "clock"}, "clock": {"from": "clocks", "relative_to": "today"},
            "today": {"from": "today"}}  # fmt: skip
    task = TASK | {
        "draw": draw,
        "args": {"tag": "{due}"},
        "requests": ["{today} {clock}, {due}", "{due}; {clock}, {today}"],
    }
    pools = {"today": {"dates": ["2026-01-01", "2026-12-31"]}, "clocks": {"choice": CLOCKS}, "later": {"choice": LATER}}
    made = synthesise([given({"values": pools, "tasks": [task]})], judge, rows=60, held_out=0, seed=0)
    assert len(made.train) == 60
    for row in made.train:
        day = re.search(r"2026-\d\d-\d\d", row.request)
        (clock,), (later,) = (
            [item["value"] for item in items if item["texts"][0] in row.request.casefold()] for items in (CLOCKS, LATER)
        )
        assert day and row.expected["args"]["tag"] == time_after(day[0], f"{clock}, {later}")


def test_all_days_of_a_request_are_said_in_one_form() -> None:
    draw = {"today": {"from": "today"}, "other": {"from": "today"}}
    task = TASK | {
        "draw": draw,
        "args": {"tag": "{today} {other}"},
        "requests": ["{today} then {other}", "{today}, {other}"],
    }
    made = synthesise([given({"values": POOLS, "tasks": [task]})], judge, rows=80, held_out=0, seed=0)
    counts = {len(re.findall(r"\d{4}-\d\d-\d\d", row.request)) for row in made.train}
    assert counts == {0, 2}


def test_rows_say_the_day_and_have_the_day_that_is_meant() -> None:
    made = synthesise([given({"values": POOLS, "tasks": [TASK]})], judge, rows=150, held_out=30, seed=0)
    assert len(made.train) == 150 and len(made.held_out) == 30
    days = [date(2026, 1, 1) + timedelta(days=count) for count in range(730)]
    known = {day.isoformat(): f"{day:%A}, {day.day} {day:%B} {day.year}" for day in days}
    spans = {text: entry["value"] for entry in POOLS["spans"]["choice"] for text in entry["texts"]}
    said, seen = re.compile("|".join(spans), re.IGNORECASE), set()
    for task in (*made.train, *made.held_out):
        (text,) = (text for text in spans if text.casefold() in task.request.casefold())
        due = date.fromisoformat(task.expected["args"]["tag"])
        (base,) = {day for day, text in known.items() if text in task.request or day in task.request}
        assert due.isoformat() == time_after(base, spans[text]), task.request
        seen.add(said.search(task.request)[0].casefold())  # type: ignore[index]
    assert seen == {text.casefold() for text in spans}


@pytest.mark.parametrize(
    ("pools", "message"),
    [
        ({"spans": {"choice": ["one month", "friday"]}}, "`one month` is no step such as"),
        ({"spans": {"integers": [1, 10**9]}}, "`1000000000` is no step"),
        ({"spans": {"choice": ["friday", "2 hours"]}}, "`2 hours` counts from a time, and 2026-01-01 is a day"),
        ({"spans": {"choice": ["24:00"]}}, "`24:00` is no step"),
        ({"spans": {"schema": {"type": "string"}}}, "not listed"),
        ({"today": {"choice": ["2026-03-01", 20260302]}}, "`20260302` is no day such as"),
        ({"today": {"choice": ["2026-03-01", "2026-02-30"]}}, "day is out of range"),
        ({"today": {"dates": ["9999-12-01", "9999-12-31"]}}, "is no day of the years 1 to 9999"),
        ({"today": POOLS["today"] | {"forms": ["%B %-d"]}}, 'says both "2026-01-01" and "2027-01-01"'),
        ({"today": POOLS["today"] | {"forms": ["%d/%m/%Y", "%m/%d/%Y"]}}, "`01/02/2026` says both"),
    ],
)
def test_what_leads_to_no_day_is_a_flaw(pools: dict[str, Any], message: str) -> None:
    (flaw,) = text_flaws(document(**pools))
    assert message in flaw.message
    with pytest.raises(DocumentError, match=r"leads to no day|says both"):
        synthesise([given({"values": POOLS | pools, "tasks": [TASK]})], judge, rows=5, held_out=0, seed=0)


@pytest.mark.parametrize(
    ("task", "pools", "message"),
    [
        ({}, {"today": {"dates": ["2026-01-02", "2026-01-01"]}}, "first, last"),
        ({}, {"today": {"dates": ["2026-01-01", "2026-02-30"]}}, "must be a day such as"),
        ({}, {"today": POOLS["today"] | {"forms": ["%x"]}}, "is written with %Y"),
        ({}, {"today": POOLS["today"] | {"forms": ["day"]}}, "is written with %Y"),
        ({}, {"spans": POOLS["spans"] | {"forms": ["%Y"]}}, "`forms` needs `dates`"),
        ({"draw": TASK["draw"] | {"today": {"from": "today", "probability": 0.5}}}, {}, "always drawn"),
        ({"draw": TASK["draw"] | {"due": {"from": "spans", "relative_to": "due"}}}, {}, "`due` counts in a circle"),
        ({"draw": TASK["draw"] | CIRCLE}, {}, "`b` counts in a circle"),
        ({"args": {"tag": "{due} {today}"}, "ask": {"slots": ["today"]}}, {}, "leaves open which day `due` is"),
    ],
)
def test_what_no_rule_of_days_can_mean_is_refused(task: dict[str, Any], pools: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        document(task, **pools)


def test_a_day_that_only_the_prompt_says_is_part_of_the_answer() -> None:
    """Two tasks with the same words and another day are one request with two answers."""
    tasks = [
        TASK | {"name": name, "draw": TASK["draw"] | {"today": {"from": [day]}}, "requests": ["go {due}"]}
        for name, day in (("a", "2026-03-01"), ("b", "2026-03-02"))
    ]
    both = SynthesisDocument.model_validate({"synthesis": 1, "values": POOLS, "tasks": tasks})
    assert len([*contradictions(both)]) == 1
    assert not [*contradictions(both.model_copy(update={"tasks": both.tasks[:1]}))]


def test_held_out_days_are_kept_from_training() -> None:
    split = divide(document()).pools["today"]
    assert split.shared is None and split.held_out is not None and split.held_out > 100

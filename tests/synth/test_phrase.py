"""Requests: values stand in them untouched, and the text around them is in order."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.synth.phrase import Frame, Phrasing, Template, write


def said(
    frame: str, request: str, texts: dict[str, str], clauses: dict[str, list[str]] | None = None, seed: int = 0
) -> str | None:
    drawn = frozenset(texts)
    phrasing = Phrasing([frame], [request], clauses or {}, implied=frozenset(), spoken=frozenset())
    plan = phrasing.plan(drawn)
    return None if plan is None else phrasing.write(plan, {"x": "", "y": "", **texts}, random.Random(seed).random)[0]


@pytest.mark.parametrize(
    ("frame", "request_text", "texts", "clauses", "expected"),
    [
        ("{request}", "start the server [x]", {"x": "80"}, {"x": ["on {x}"]}, "Start the server on 80"),
        ("{request}", "start the server [x]", {}, {"x": ["on {x}"]}, "Start the server"),
        ("{request}.", "start [x] , now", {}, {"x": ["on {x}"]}, "Start, now."),
        ("{request}.", "start [x] the [y] server", {}, {"x": ["on {x}"], "y": ["{y}"]}, "Start the server."),
        ("Please {request}.", "start it [*]", {"x": "80"}, {"x": ["on {x}"]}, "Please start it on 80."),
        ("Tell me: {request}?", "which is it?", {}, {}, "Tell me: which is it?"),
        ("{request}.", "is it up?", {}, {}, "Is it up."),
        ("{request}.", "serve {x}", {"x": "."}, {}, "Serve ."),
        ("{request}", "serve {x} now", {"x": "."}, {}, "Serve . now"),
        ("{request}", "{x} is to be built", {"x": "acme/shop"}, {}, "acme/shop is to be built"),
        ("{request}", "[x] start", {"x": "dev"}, {"x": ["{x}:"]}, "dev: start"),
        ("{request}", "keep {x} as it is", {"x": "a  b ."}, {}, "Keep a  b . as it is"),
        ("{request}", "list .env and  .git [*] .", {}, {}, "List .env and .git."),
        ("{request}", "start [*]; now is {y}", {"x": "80", "y": "9"}, {"x": ["on {x}"]}, "Start on 80; now is 9"),
        ("{request}", "start [x] [y]: go", {"x": "80", "y": "9"}, {"x": ["{x}"], "y": ["{y}"]}, "Start 80 9: go"),
        ("{request}", "start [x] ; go", {}, {"x": ["on {x}"]}, "Start; go"),
        ("{request}", "start[x][y]", {"x": "80", "y": "9"}, {"x": [" on {x}"], "y": [", as {y}"]}, "Start on 80, as 9"),
        ("{request}", "keep [x] : as it is", {}, {"x": ["on {x}"]}, "Keep : as it is"),
        ("{request}", "open *.{x}", {"x": "py"}, {}, "Open *.py"),
        ("{request}", "files ending in .{x}", {"x": "py"}, {}, "Files ending in .py"),
    ],
)
def test_white_space_and_punctuation_are_put_in_order(
    frame: str, request_text: str, texts: dict[str, str], clauses: dict[str, list[str]], expected: str
) -> None:
    assert said(frame, request_text, texts, clauses) == expected


MAIL = "Hello team,\n\n{request}\n\nBest regards"


@pytest.mark.parametrize(
    ("frame", "request_text", "texts", "expected"),
    [
        (MAIL, "start  the server [x] .", {"x": "80"}, "Hello team,\n\nstart the server on 80.\n\nBest regards"),
        (MAIL, "start the server [x]", {}, "Hello team,\n\nstart the server\n\nBest regards"),
        ("Hi all.\n\n{request}\n", "start it", {}, "Hi all.\n\nStart it"),
        ("{request}", "this fails:\n\n  $ up  --port {x}\n  error 1\n\nfix it", {"x": "80"},
         "This fails:\n\n  $ up  --port 80\n  error 1\n\nfix it"),
        ("{request}", "run\n    [*]\nnow", {"x": "80"}, "Run\n    on 80\nnow"),
        ("{request}", "```\nport: {x}\n```", {"x": "a\n  b"}, "```\nport: a\n  b\n```"),
        ("{request}", "one\r\ntwo", {}, "One\ntwo"),
    ],
)  # fmt: skip
def test_a_template_of_several_lines_keeps_its_white_space(
    frame: str, request_text: str, texts: dict[str, str], expected: str
) -> None:
    assert said(frame, request_text, texts, {"x": ["on {x}"]}) == expected


def test_a_star_takes_the_clauses_that_have_no_place_in_any_order() -> None:
    clauses = {"x": ["at {x}"], "y": ["as {y}"]}
    seen = {said("{request}", "go [*]", {"x": "1", "y": "2"}, clauses, seed) for seed in range(20)}
    assert seen == {"Go at 1 as 2", "Go as 2 at 1"}
    assert said("{request}", "go [y] then [*]", {"x": "1", "y": "2"}, clauses) == "Go as 2 then at 1"
    assert said("{request}", "go {y} [*]", {"x": "1", "y": "2"}, clauses) == "Go 2 at 1"


def test_a_request_that_cannot_say_a_drawn_slot_is_not_used() -> None:
    assert said("{request}", "go", {"x": "1"}, {"x": ["at {x}"]}) is None
    assert said("{request}", "go {x}", {}, {}) is None
    assert said("{request}", "go [x]", {"x": "1"}, {"x": ["from {x} to {y}"]}) is None


def test_a_clause_may_say_two_slots() -> None:
    assert said("{request}", "go [x]", {"x": "1", "y": "2"}, {"x": ["from {x} to {y}"]}) == "Go from 1 to 2"


VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(
    x=VALUES, y=VALUES, seed=st.integers(0, 99), request=st.sampled_from(["{x} {y}", "a, {x} .{y}", "{x} [*].", "[*]!"])
)
def test_values_reach_the_request_as_they_are(x: str, y: str, seed: int, request: str) -> None:
    """Whatever stands in a value (spaces, marks, capitals), the request holds it unchanged."""
    clauses = {"x": ["with {x}", "{x} ,"], "y": ["to {y}", ", {y}"]}
    for frame in ("{request}", "Please {request}.", "{request}?"):
        sentence = said(frame, request, {"x": x, "y": y}, clauses, seed)
        assert sentence is not None
        assert x in sentence
        assert y in sentence


@given(parts=st.lists(st.sampled_from(["one", "[x]", "[y]", ",", ".", "two", "[*]", "  "]), min_size=1, max_size=8))
def test_literals_alone_never_leave_double_spaces_or_a_space_before_a_mark(parts: list[str]) -> None:
    template = Template.of(" ".join(["go", *parts]))
    sentence = write([part for part in template.parts if not part.place], {})
    assert "  " not in sentence
    assert not re.search(r" [.,!?](\s|$)", sentence)
    assert sentence == sentence.strip()


def test_a_frame_keeps_what_stands_around_the_request() -> None:
    frame = Frame.of("Hi,  {request} , please")
    assert [part.literal for part in frame.before] == ["Hi,"]
    assert said("Hi,  {request} , please", "go", {}) == "Hi, go, please"

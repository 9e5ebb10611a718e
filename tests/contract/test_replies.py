"""Questions, refusals and texts as right answers: read strictly, judged in ranges, and off unless asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.contract.judge import EXACT
from skillpm.contract.rewards import BUILTIN_FUNCTIONS
from skillpm.errors import DocumentError
from skillpm.model.answer_kind import KINDS, kind_of
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from tests.serving import CONTRACT, compiled

PLAIN = compiled(CONTRACT)
ALL = compiled(CONTRACT.replace("contract: 1\n", "contract: 1\nanswers: [answer, refuse, ask, call]\n"))
CALL = {"tool": "serve", "args": {"port": 8123, "host": None, "quiet": None}}
ASK = {"tool": "serve", "ask": ["port", "host"]}
REFUSE, ANSWER = {"refuse": "off_topic"}, {"answer": "Ports go to 65535."}
BY_KIND: dict[str, dict[str, Any]] = {"call": CALL, "ask": ASK, "refuse": REFUSE, "answer": ANSWER}


def score(expected: dict[str, Any], answer: Any) -> float | None:
    return ALL.judge(expected, answer if isinstance(answer, str) else json.dumps(answer)).score


@pytest.mark.parametrize("kind", ["ask", "refuse", "answer"])
def test_a_contract_that_does_not_opt_in_takes_calls_alone(kind: str) -> None:
    problem = "an answer has exactly the keys `tool` and `args`"
    assert PLAIN.problems(BY_KIND[kind]) == [problem]
    assert PLAIN.judge(CALL, json.dumps(BY_KIND[kind])).reasons == (problem,)
    with pytest.raises(DocumentError, match="`tool` and `args`"):
        PLAIN.complete(BY_KIND[kind])


@pytest.mark.parametrize("expected", KINDS)
@pytest.mark.parametrize("answered", KINDS)
def test_an_answer_is_exact_if_it_is_the_expected_one_and_worth_little_if_it_is_of_another_kind(
    expected: str, answered: str
) -> None:
    verdict, argv = ALL.assess(ALL.gold(BY_KIND[expected]), json.dumps(BY_KIND[answered]))
    assert (verdict is EXACT) == (expected == answered)
    assert expected == answered or (verdict.status, verdict.score) == ("failed", 0.1)
    assert verdict.components["schema_valid"] == 1
    assert (argv is not None) == (answered == "call")


@pytest.mark.parametrize(
    ("expected", "answer", "value"),
    [
        (ASK, {"ask": ["host", "port", "host"], "tool": "serve"}, 1.0),  # names are a set
        (ASK, {"tool": "serve", "ask": ["port"]}, 0.65),
        (ASK, {"tool": "serve", "ask": ["port", "host", "quiet"]}, 0.65),
        (ASK, {"tool": "serve", "ask": ["quiet"]}, 0.35),
        (ASK, {"tool": "stop", "ask": ["port", "host"]}, 0.1),
        (ASK, {"tool": "serve", "ask": ["port", "user"]}, 0.06),  # no such argument
        (ASK, {"tool": "serve", "ask": []}, 0.06),
        (ASK, {"tool": "serve", "ask": "port"}, 0.06),
        (ASK, {"tool": "serve", "ask": ["port", "host"], "args": {}}, 0.04),  # two kinds
        (ASK, {"ask": ["port", "host"]}, 0.04),
        (ASK, f"I ask: {json.dumps(ASK)}", 0.02),
        (ASK, "Which port?", 0.0),
        (CALL, {"tool": "serve", "ask": ["port"]}, 0.1),
        (CALL, {**CALL, "refuse": "off_topic"}, 0.06),  # two kinds, with the right tool
        (REFUSE, {"refuse": "not_allowed"}, 0.2),
        (REFUSE, {"refuse": "busy"}, 0.06),
        (REFUSE, {"refuse": ["off_topic"]}, 0.06),
        (REFUSE, {"refuse": "off_topic", "answer": "no"}, 0.04),
        (REFUSE, {"refuse": None}, 0.06),
        (ANSWER, {"answer": "ports go to 65535."}, 0.2),
        (ANSWER, {"answer": ""}, 0.06),
        (ANSWER, {"answer": 65535}, 0.06),
    ],
)
def test_each_range_of_the_score(expected: dict[str, Any], answer: Any, value: float) -> None:
    assert score(expected, answer) == value


def test_texts_are_the_same_as_the_contract_says() -> None:
    way = "answers: [call, answer]\ncompare_answer: [casefold, words]\n"
    contract = compiled(CONTRACT.replace("contract: 1\n", f"contract: 1\n{way}"))
    assert contract.judge(ANSWER, '{"answer": "PORTS  go to 65535."}') is EXACT
    assert contract.judge(ANSWER, '{"answer": "Ports go to 65536."}').score == 0.2


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"tool": "serve", "ask": ["user"]}, "argument `user` is unknown"),
        ({"tool": "rm", "ask": ["port"]}, "unknown tool 'rm'"),
        ({"tool": ["serve"], "ask": ["port"]}, "unknown tool"),
        ({"tool": "serve", "ask": [["port"]]}, "`ask` must list the arguments"),
        ({"tool": "serve", "ask": ["port"], "args": {"port": 1}}, "exactly the keys `tool` and `args`, or `tool` and"),
        ({"refuse": "busy"}, "`refuse` is not one of `off_topic`, `not_allowed`"),
        ({"answer": None}, "`answer` must be a text"),
    ],
)
def test_an_expected_answer_that_breaks_the_contract_is_named(expected: dict[str, Any], problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        ALL.complete(expected)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("answers: [call, sing]", "answers"),
        ("answers: [ask]", "must name `call`"),
        ("answers: []", "must name `call`"),
        ("compare_answer: set", "`set` is for a list"),
    ],
)
def test_a_contract_with_unknown_kinds_is_refused(line: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        compiled(CONTRACT.replace("contract: 1\n", f"contract: 1\n{line}\n"))


def test_a_prompt_can_say_which_answers_there_are() -> None:
    prompt = "system_prompt: \"{% if 'ask' in answers %}Ask.{% endif %}{{ answers | join(' ') }}\"\n"
    text = CONTRACT.replace("system_prompt: Answer with JSON.\n", prompt)
    assert compiled(text).prompt == "call"
    assert compiled(text.replace("contract: 1\n", "contract: 1\nanswers: [call, ask]\n")).prompt == "Ask.call ask"


@pytest.mark.parametrize("expected", [ASK, REFUSE, ANSWER])
def test_each_reward_pays_an_answer_that_calls_nothing_by_its_verdict(expected: dict[str, Any]) -> None:
    task = Task.of(skill="s", system="", request="x", expected=expected, split="train", origin="rule")
    empty_call = {"tool": "serve", "args": dict.fromkeys(("port", "host", "quiet"))}
    paid = {}
    for name, answer in (("right", expected), ("wrong", empty_call)):
        episode = Episode.answering(task, json.dumps(answer))
        verdict = ALL.judge(expected, episode.completion)
        paid[name] = [function(task, episode, verdict) for function in BUILTIN_FUNCTIONS.values()]
    assert paid == {"right": [1.0, 1.0, 1.0], "wrong": [0.1, -1.0, 0.0]}


NAMES = st.lists(st.sampled_from(["port", "host", "quiet"]), min_size=1, max_size=4)
TOOLS = st.sampled_from(["serve", "stop"])
ANSWERS = st.one_of(
    st.builds(lambda tool, names: {"tool": tool, "ask": names}, TOOLS, NAMES),
    st.sampled_from([REFUSE, {"refuse": "not_allowed"}]),
    st.builds(lambda text: {"answer": text}, st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)),
    st.builds(lambda tool, port: {"tool": tool, "args": {"port": port}}, TOOLS, st.integers(1, 3)),
)


def meaning(answer: dict[str, Any]) -> Iterator[Any]:
    """Yield what decides whether two answers are one."""
    yield from (kind_of({**answer, "args": {}} if kind_of(answer) is None else answer), answer.get("tool"))
    yield frozenset(answer["ask"]) if "ask" in answer else json.dumps(answer)


@settings(max_examples=200)
@given(expected=ANSWERS, answered=ANSWERS)
def test_an_answer_gets_one_if_it_means_the_same_and_less_otherwise(
    expected: dict[str, Any], answered: dict[str, Any]
) -> None:
    verdict = ALL.judge(expected, ALL.render(answered))
    assert (verdict is EXACT) == (list(meaning(expected)) == list(meaning(answered)))
    near = kind_of(expected) == kind_of(answered) and expected.get("tool") == answered.get("tool")
    assert verdict.score is not None and (0.2 <= verdict.score <= 1 if near else verdict.score == 0.1)


@settings(max_examples=100)
@given(expected=ANSWERS)
def test_a_rendered_answer_reads_as_itself(expected: dict[str, Any]) -> None:
    text = ALL.render(expected)
    assert ALL.render(json.loads(text)) == text and ALL.judge(expected, text) is EXACT
    assert ALL.problems(json.loads(text)) == []

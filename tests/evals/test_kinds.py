"""Figures of each kind of answer: what is counted where, on the page too, and nothing for skills that only call."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.evals.failures import confusions, reasons
from skillpm.evals.kinds import kind_figures
from skillpm.evals.outcomes import called_tool
from skillpm.evals.report import ReportData, render_report
from skillpm.evals.stored_records import outcomes_of
from skillpm.evals.summary import evaluation_document, kind_table
from skillpm.model.answer_kind import KINDS
from skillpm.model.evaluation import Arm, EvaluatedSkill, Evaluation, Record, TaskSet
from tests.serving import CONTRACT, compiled

CONTRACTS = compiled(CONTRACT.replace("contract: 1\n", "contract: 1\nanswers: [call, ask, refuse, answer]\n"))
ANSWERS: dict[str, Any] = {
    "call": {"tool": "serve", "args": {"port": 1}},
    "ask": {"tool": "serve", "ask": ["port"]},
    "refuse": {"refuse": "off_topic"},
    "answer": {"answer": "65535"},
}
TEXTS = {**{kind: CONTRACTS.render(answer) for kind, answer in ANSWERS.items()}, "": "I do not know"}
PLACES = st.tuples(st.sampled_from(KINDS), st.sampled_from([*KINDS, ""]))


def record(number: int, expected: str, answered: str) -> Record:
    complete = CONTRACTS.complete(ANSWERS[expected])
    verdict = CONTRACTS.judge(complete, TEXTS[answered])
    return Record(
        task=str(number), skill="serving", suite="core", request=f"request {number}", expected=complete,
        completion=TEXTS[answered], argv=None, verdict=verdict, exact=verdict.status == "passed", valid_json=True,
        finish_reason="stop", prompt_tokens=1, completion_tokens=1,
    )  # fmt: skip


def evaluation(pairs: list[tuple[str, str]]) -> Evaluation:
    records = tuple(record(number, *pair) for number, pair in enumerate(pairs))
    return Evaluation(
        skills=(EvaluatedSkill(name="serving", version="1", tree="0" * 64),),
        task_sets=(TaskSet(skill="serving", name="core", tasks=len(records)),),
        arms=(Arm(name="base", model="tiny", records=records, seconds=1.0),),
        data="0" * 64,
    )


@settings(max_examples=50)
@given(pairs=st.lists(PLACES, min_size=1, max_size=30))
def test_every_judged_answer_is_counted_once_and_mistakes_are_shares_of_where_they_can_happen(
    pairs: list[tuple[str, str]],
) -> None:
    rows = kind_figures(evaluation(pairs))
    if all(expected == "call" for expected, _ in pairs):
        assert rows == []
        return
    (row,) = rows
    assert row.answered == Counter(pairs)
    for kind in KINDS:
        mine = [answered == kind for expected, answered in pairs if expected == kind]
        assert (kind in row.exact) == bool(mine) and row.answers(kind) == row.tasks.get(kind, 0) == len(mine)
        assert not mine or row.exact[kind].estimate == sum(mine) / len(mine)
    calls = [answered in ("ask", "refuse") for expected, answered in pairs if expected == "call"]
    others = [answered == "call" for expected, answered in pairs if expected in ("ask", "refuse")]
    for figure, outcomes in ((row.false_refusals, calls), (row.inventions, others)):
        assert (None if figure is None else figure.estimate) == (sum(outcomes) / len(outcomes) if outcomes else None)


PAIRS = [("call", "call")] * 3 + [("call", "refuse"), ("ask", "call"), ("refuse", "refuse"), ("answer", "")]


def test_a_table_and_a_document_say_the_same_figures() -> None:
    made = evaluation(PAIRS)
    columns, lines = kind_table(kind_figures(made))
    assert columns[3:] == [*(f"exact {kind}" for kind in KINDS), "false refusals", "inventions"]
    assert lines == [
        ["serving", "core", "base", "75.0 % of 4", "0.0 % of 1", "100.0 % of 1", "0.0 % of 1", "25.0 %", "50.0 %"]
    ]
    (document,) = evaluation_document(made, [])["by_kind"]
    assert document["inventions"]["estimate"] == 0.5 and document["kinds"]["call"]["tasks"] == 4
    assert {"expected": "answer", "answered": None, "count": 1} in document["answered"]
    json.dumps(document)


def test_tasks_that_are_asked_twice_count_once_and_their_answers_twice() -> None:
    made = evaluation(PAIRS)
    (arm,) = made.arms
    again = [record.model_copy(update={"repeat": 1}) for record in arm.records]
    made = made.model_copy(update={"arms": (arm.model_copy(update={"records": (*arm.records, *again)}),)})
    call = evaluation_document(made, [])["by_kind"][0]["kinds"]["call"]
    assert (call["tasks"], call["answers"]) == (4, 8)


def test_the_page_shows_kinds_only_where_more_than_calls_are_expected() -> None:
    page = render_report(ReportData("serving", evaluation(PAIRS)))
    assert (
        "<h2>Kinds of answers</h2>" in page and "False refusals" in page and "serving, core: what was answered" in page
    )
    assert "Kinds of answers" not in render_report(ReportData("serving", evaluation([("call", "call")])))


def test_the_confusion_of_tools_knows_what_else_was_answered() -> None:
    made = evaluation([*PAIRS, ("call", "ask")])
    (confusion,) = confusions(outcomes_of(made.arms[0]))
    assert confusion.expected == ("answer", "ask serve", "refuse off_topic", "serve")
    assert confusion.counts["serve", "ask serve"] == confusion.counts["ask serve", "serve"] == 1
    assert reasons(record(0, "call", "refuse")) == ["`refuse off_topic` was answered where `serve` was expected"]
    assert called_tool(record(0, "call", "")) == ""


def test_an_object_with_the_keys_of_a_refusal_is_none_where_the_contract_takes_calls_alone() -> None:
    known = evaluation([("refuse", "refuse"), ("call", "call")])
    for kinds, count in ((None, 1), (KINDS, 1), (("call",), 0), ((), 0)):
        skills = (known.skills[0].model_copy(update={"kinds": kinds}),)
        assert len(kind_figures(known.model_copy(update={"skills": skills}))) == count

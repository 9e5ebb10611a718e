"""A model that asks back, refuses or answers by a text: people read it, their answer goes on, nothing runs by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.agent.episode import Episode
from skillpm.agent.trace import Traces
from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from tests.agent.conftest import CONTRACT, MakeAround, Person, Script, call

OPEN = Contract(
    read_model(
        ContractDocument, CONTRACT.replace("contract: 1\n", "contract: 1\nanswers: [call, ask, refuse, answer]\n")
    )
)
ASK = '{"tool": "show", "ask": ["path"]}'
REFUSE, ANSWER = '{"refuse": "not_allowed"}', '{"answer": "Two tools.\\u001b[31m"}'
QUESTION = "A value is missing:\n  path: The file to print."


class Told:
    """Answers what the model asks back, in turn, and keeps the questions."""

    def __init__(self, *replies: str | None) -> None:
        self._replies = list(replies)
        self.questions: list[str] = []

    def __call__(self, question: str) -> str | None:
        self.questions.append(question)
        return self._replies.pop(0)


def test_the_answer_of_a_person_goes_into_the_conversation_and_the_model_goes_on(
    around: MakeAround, tmp_path: Path
) -> None:
    (tmp_path / "work" / "log").write_text("text\n")
    script, told = Script(ASK, call("show", "log")), Told("the file log")
    made = around(script, Person("yes"), contract=OPEN, reply=told)
    trace = Episode(made, "show it").run()
    assert told.questions == [QUESTION]
    assert [message.content for message in script.prompts[1][1:]] == ["show it", ASK, "the file log"]
    assert trace.outcome == "done" and [step.output for step in trace.steps] == ["", "text\n"]
    assert trace.steps[0].reply == "the file log" and trace.gold() is None
    assert [row["role"] for row in trace.messages()] == ["system", "user", "assistant", "user", "assistant", "tool"]


@pytest.mark.parametrize("told", [None, Told(None), Told("")])
def test_a_question_that_nobody_answers_ends_the_episode(around: MakeAround, told: Any) -> None:
    episode = Episode(around(Script(ASK), contract=OPEN, reply=told), "show it")
    trace = episode.run()
    assert (trace.outcome, trace.report, episode.executed) == ("asked", QUESTION, False)
    assert trace.steps[0].call is None and not trace.steps[0].problems


def test_a_model_that_asks_for_ever_is_ended(around: MakeAround) -> None:
    told = Told(*["here"] * 9)
    trace = Episode(around(Script(*[ASK] * 9), contract=OPEN, reply=told), "show it").run()
    assert trace.outcome == "asked" and len(told.questions) == 5


@pytest.mark.parametrize(
    ("answer", "outcome", "report"),
    [(REFUSE, "declined", "The skill does not allow this."), (ANSWER, "done", "Two tools.\x1b[31m")],
)
def test_a_refusal_and_a_text_are_the_last_word_and_nothing_runs(
    around: MakeAround, answer: str, outcome: str, report: str
) -> None:
    person, told = Person(), Told()
    made = around(Script(answer), person, contract=OPEN, reply=told, steps=4)
    episode = Episode(made, "touch everything")
    trace = episode.run()
    assert (trace.outcome, trace.report) == (outcome, report)
    assert not person.asked and not told.questions and not episode.executed and not list(made.audit.entries())
    assert [stored.outcome for stored in Traces(made.traces._folder).all()] == [outcome]


@pytest.mark.parametrize("answer", [ASK, REFUSE, ANSWER])
def test_without_opting_in_such_an_answer_means_nothing(around: MakeAround, answer: str) -> None:
    told = Told()
    trace = Episode(around(Script(answer), reply=told), "show it").run()
    assert trace.outcome == "invalid" and not told.questions


def test_an_answer_of_a_person_lets_nothing_run_by_itself(around: MakeAround, tmp_path: Path) -> None:
    made = around(Script(ASK, call("touch", "new")), None, contract=OPEN, reply=Told("yes, run it"))
    assert Episode(made, "go").run().outcome == "not-run" and not (tmp_path / "work" / "new").exists()


def test_a_report_needs_a_command_that_ran(around: MakeAround) -> None:
    made = around(Script(ASK, json.dumps({"report": "done"})), contract=OPEN, reply=Told("log"), steps=3)
    assert Episode(made, "show it").run().outcome == "invalid"

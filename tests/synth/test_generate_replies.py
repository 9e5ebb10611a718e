"""Rows whose right answer calls nothing: labels right by construction, divided as others are, and counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.model.answer_kind import kind_of
from skillpm.model.contract import ContractDocument
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.synth.checker import missing_kinds
from skillpm.synth.generate import Synthesis, synthesise

NAMES = ["ada", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "jon"]
WORDS = ["a note", "b card", "c memo", "d page", "e line", "f word"]
TEXTS = ["tea", "rain", "lunch", "trains", "keys", "rent", "news", "cake", "snow", "shoes"]
CONTRACT: dict[str, Any] = {
    "contract": 1,
    "answers": ["call", "ask", "refuse", "answer"],
    "tools": [
        {
            "name": "send",
            "input_schema": {
                "type": "object",
                "required": ["to", "about"],
                "properties": {"to": {"type": "string"}, "about": {"type": "string"}, "fast": {"type": "boolean"}},
            },
        }
    ],
}
SEND: dict[str, Any] = {
    "name": "send",
    "tool": "send",
    "draw": {"who": {"from": "names"}, "what": {"from": "texts"}, "fast": {"from": [True], "probability": 0.3}},
    "args": {"to": "{who}", "about": "{what}", "fast": "{fast}"},
    "requests": ["send a mail [*]", "write [who] [what] [fast]", "a mail, please [*]", "mail [*] [fast]", "post [*]"],
    "clauses": {
        "who": ["to {who}", "for {who}", "which {who} gets", "addressed to {who}", "that goes to {who}"],
        "what": ["about {what}", "on {what}", "concerning {what}", "with {what} as the subject"],
        "fast": ["at once", "right now", "quickly"],
    },
    "ask": {"slots": ["who", "what"], "weight": 1.0},
}
JOKE = {"name": "joke", "refuse": "off_topic", "requests": [f"tell me {word}" for word in TEXTS], "weight": 0.5}
DROP = {
    "name": "drop",
    "refuse": "not_allowed",
    "draw": {"who": {"from": "names"}},
    "requests": ["delete the mails of {who}", "wipe {who}", "drop all of {who}", "erase {who}", "kill {who}"],
    "weight": 0.5,
}
HELP = {"name": "help", "answer": "Mails only.", "requests": [f"what can you do, {word}?" for word in NAMES]}
DOCUMENT: dict[str, Any] = {
    "synthesis": 1,
    "values": {"names": {"choice": NAMES}, "texts": {"choice": TEXTS}},
    "tasks": [SEND, JOKE, DROP, HELP],
}


def made(document: dict[str, Any], contract: dict[str, Any] = CONTRACT, *, rows: int = 200, seed: int = 0) -> Synthesis:
    compiled = Contract(ContractDocument.model_validate(contract))

    def judge(episodes: Any) -> list[Judgement]:
        return [
            Judgement(verdict=compiled.judge(item.task.expected, item.completion), rewards={})
            for item in episodes
            if isinstance(item, Episode)
        ]

    contributions = Contributions(
        skill=Skill("mail", "1", "0" * 64, Path("/nowhere")),
        contract=compiled,
        synthesis=SynthesisDocument.model_validate(document),
    )
    return synthesise([contributions], judge, rows=rows, held_out=60, seed=seed)


def values(task: Task) -> dict[str, str]:
    """Return the values that a request says, by argument."""
    words = set(re.findall(r"\w+", task.request.lower()))
    said = {"to": words & set(NAMES), "about": words & set(TEXTS)}
    return {name: next(iter(found)) for name, found in said.items() if found}


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_a_question_asks_for_what_the_request_leaves_out_and_for_nothing_else(seed: int) -> None:
    synthesis = made(DOCUMENT, rows=120, seed=seed)
    for task in (*synthesis.train, *synthesis.held_out):
        said, kind = values(task), kind_of(task.expected)
        if kind == "ask":
            assert task.expected == {"tool": "send", "ask": [name for name in ("to", "about") if name not in said]}
        if kind == "call":
            assert said == {name: task.expected["args"][name] for name in ("to", "about")}


def test_every_kind_gets_its_share_on_both_sides_and_the_profile_counts_them() -> None:
    synthesis = made(DOCUMENT)
    skill = synthesis.profile.skills["mail"]
    for side, tasks in ((skill.train, synthesis.train), (skill.held_out, synthesis.held_out)):
        assert set(side.tools) == {"send", "ask send", "refuse off_topic", "refuse not_allowed", "answer"}
        asked = [task for task in tasks if kind_of(task.expected) == "ask"]
        assert side.coverage["send"]["to"]["asked"] == sum("to" in task.expected["ask"] for task in asked) > 0
        assert side.coverage[""]["refuse"] == {
            reason: side.tools[f"refuse {reason}"] for reason in ("off_topic", "not_allowed")
        }
        assert side.coverage[""]["answer"] == {"value": side.tools["answer"]}
    both = sum(len(task.expected["ask"]) == 2 for task in synthesis.train if kind_of(task.expected) == "ask")
    assert 0 < both < skill.train.tools["ask send"]


def test_phrasings_of_questions_and_refusals_are_held_out_as_others_are() -> None:
    own = {**SEND, "ask": {"slots": ["who"], "requests": [f"mail {word} {{what}} [fast]" for word in WORDS]}}
    synthesis = made({**DOCUMENT, "tasks": [own, JOKE, DROP, HELP]})
    for kind, pattern in (("ask", r"mail (\w+)"), ("refuse", r"tell me (\w+)"), ("answer", r"do, (\w+)")):
        sides = [
            {
                found[1]
                for task in tasks
                if kind_of(task.expected) == kind and (found := re.search(pattern, task.request.lower()))
            }
            for tasks in (synthesis.train, synthesis.held_out)
        ]
        assert sides[0] and sides[1] and not sides[0] & sides[1], kind
    overlap = synthesis.profile.overlap
    assert overlap.held_out_values_in_train == overlap.train_requests_in_held_out == 0


def changed(task: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {key: value for key, value in {**task, **keys}.items() if value is not None}


BAD = [
    (changed(SEND, ask={"slots": ["user"]}), "slot `user` is not in `draw`"),
    (changed(SEND, ask={"slots": ["fast"]}), "slot `fast` is not always drawn"),
    (changed(SEND, ask={"slots": []}), "ask.slots"),
    (changed(SEND, args={"to": "{who}", "about": "x"}, ask={"slots": ["what"]}), "no argument is made of slot `what`"),
    (changed(SEND, requests=["mail {who} {what} [fast]"], clauses={"fast": ["now"]}), "no request leaves `who` out"),
    (changed(SEND, draw={**SEND["draw"], "who": {"from": ["ada"]}}), "`who` has one value"),
    (changed(SEND, ask={"slots": ["who"], "requests": ["mail {who}"]}), "no request leaves `who` out"),
    (changed(SEND, ask={"slots": ["who"], "requests": ["mail [nobody]"]}), "`nobody`|[nobody]"),
    (changed(JOKE, args={"to": "x"}), "need `tool`"),
    (changed(JOKE, ask={"slots": ["who"]}), "need `tool`"),
    (changed(JOKE, answer="no"), "exactly one of `tool`, `refuse`, `answer`"),
    (changed(JOKE, refuse=None), "exactly one of `tool`, `refuse`, `answer`"),
    (changed(JOKE, refuse="busy"), "off_topic"),
    (changed(JOKE, name="send-ask"), "task `send-ask` has the name"),
]


@pytest.mark.parametrize(("task", "problem"), BAD)
def test_a_rule_with_nothing_to_leave_out_or_with_two_answers_is_refused(task: dict[str, Any], problem: str) -> None:
    tasks = [SEND, task] if task.get("name") != "send" else [task]
    with pytest.raises((DocumentError, ValueError), match=problem):
        made({**DOCUMENT, "tasks": tasks})


@pytest.mark.parametrize("kind", ["ask", "refuse", "answer"])
def test_a_rule_needs_the_kind_of_its_answers_in_the_contract(kind: str) -> None:
    answers = [item for item in CONTRACT["answers"] if item != kind]
    with pytest.raises(DocumentError, match=f"`answers` of the contract does not name `{kind}`"):
        made(DOCUMENT, {**CONTRACT, "answers": answers})


def test_an_argument_that_may_be_null_is_not_asked_for() -> None:
    schema = {**CONTRACT["tools"][0]["input_schema"], "required": ["to"]}
    contract = {**CONTRACT, "tools": [{"name": "send", "input_schema": schema}]}
    with pytest.raises(DocumentError, match="a request without `what` lacks nothing: `about` may be null"):
        made(DOCUMENT, contract)


def test_kinds_that_no_rule_teaches_are_named() -> None:
    document = SynthesisDocument.model_validate({**DOCUMENT, "tasks": [changed(SEND, ask=None)]})
    flaws = [flaw.message for flaw in missing_kinds(document, ("call", "ask", "refuse"), [])]
    assert flaws == [f"training never shows an answer of the kind `{kind}`" for kind in ("ask", "refuse")]

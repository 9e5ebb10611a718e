"""Which names are suggested to somebody who has mistyped one, and which are not."""

from __future__ import annotations

import pytest

from skillpm.cli.main import COMMANDS
from skillpm.errors import UsageError
from skillpm.model.name import did_you_mean, meant, near_names, parse_name

SKILLS = ("incident-triage", "langgraph-cli", "shell-tools", "log-reader", "log-query", "demo", "acme/review", "docx")

TYPED = {
    # slips of the finger
    "incident-traige": ["incident-triage"],
    "indicent-triag": ["incident-triage"],
    "lang-graph-cli": ["langgraph-cli"],
    "langraph-cli": ["langgraph-cli"],
    "log-raeder": ["log-reader"],
    "dmeo": ["demo"],
    # other ways to write it
    "Incident_Triage": ["incident-triage"],
    "IncidentTriage": ["incident-triage"],
    "log reader": ["log-reader"],
    # parts of it
    "triage": ["incident-triage"],
    "triag": ["incident-triage"],
    "inc": ["incident-triage"],
    "log": ["log-query", "log-reader"],
    "review": ["acme/review"],
    "shell-tool": ["shell-tools"],
    "doc": ["docx"],
    # more than it
    "langgraph-cli-extra": ["langgraph-cli"],
    # unrelated
    "web-scraper": [],
    "log-writer": [],
    "data-tools": [],
    "incentives": [],
    "memo-board-of-the-week": [],
    "x": [],
    "": [],
    "de": [],
    "pptx": [],
}


@pytest.mark.parametrize(("typed", "meant"), TYPED.items(), ids=[f"`{typed}`" for typed in TYPED])
def test_skills(typed: str, meant: list[str]) -> None:
    assert near_names(typed, SKILLS) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    {
        "instal": ["install"],
        "unistall": ["uninstall"],
        "isntall": ["install"],
        "publsh": ["publish"],
        "sycn": ["sync"],
        "verfy": ["verify"],
        "outdate": ["outdated"],
        "doc": ["doctor"],
        "deploy": [],
        "freeze": [],
        "start": [],
    }.items(),
)
def test_commands(typed: str, meant: list[str]) -> None:
    assert near_names(typed, COMMANDS) == meant


def test_no_more_than_asked_for_in_the_order_of_names() -> None:
    assert near_names("log", [f"log-{letter}" for letter in "dcba"], limit=2) == ["log-a", "log-b"]


def test_the_hint_of_an_unknown_name_is_what_may_have_been_meant_or_else_what_to_do() -> None:
    assert did_you_mean("log-a", ["log-b", "log-c", "triage"], "see the list") == "did you mean `log-b` or `log-c`?"
    assert did_you_mean("xyz", ["log-b"], "see the list") == "see the list"
    assert did_you_mean("a" * 10_000, ["b"]) == ""
    assert meant([]) == ""


@pytest.mark.parametrize(
    ("text", "words"), [("con", "Windows"), ("acme/lpt1", "Windows"), ("Con", "not a skill"), ("ä", "not a skill")]
)
def test_a_name_is_refused_for_its_own_reason(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Greet", "did you mean `greet`?"),
        ("my_skill", "did you mean `my-skill`?"),
        ("Acme/My Skill", "did you mean `acme/my-skill`?"),
        ("a--b", "did you mean `a-b`?"),
        ("grüße", "a name is lowercase"),
        ("Con", "a name is lowercase"),
    ],
)
def test_what_differs_in_capitals_and_separators_is_told_the_name(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_name(text)
    assert hint in str(refused.value.hint)

"""Requests in a model's words: what the text alone gives away, and what only reading back does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies

from skillpm.model.ports import Completion
from skillpm.model.suite import Suite
from skillpm.model.task import Message, Seed
from skillpm.synth.generate import Synthesis, synthesise
from skillpm.synth.rephrase import Rephrasing, fault
from tests.synth.conftest import given, judge

REQUEST = "start the server on port 8123 from /srv/app"
ANSWER = {"tool": "dev", "args": {"port": 8123, "path": "/srv/app", "tag": None, "quiet": True}}
FAULTS = {
    "spin up /srv/app at 8123": None,
    "Could you serve /srv/app? Port: 8123.": None,
    "": "is not one line",
    "serve /srv/app\nat 8123": "is not one line",
    "serve /srv/app at 8123" + " now" * 200: "is not one line",
    "serve /srv/app at \u202e8123": "has hidden characters",
    "serve /srv/app at port eight one two three": "drops a value",
    "serve /srv/app at 18123": "drops a value",
    "serve /srv/app2 at 8123": "drops a value",
    "serve /srv/app at 8123 within 30 seconds": "adds a value",
    "serve /srv/app at 8123, then /srv/other": "adds a value",
    "serve /srv/app at 8123 with --reload": "adds a value",
    "serve /srv/app at 8123 from server.py": "adds a value",
    "serve /srv/app at 8123 for admin@host": "adds a value",
    "sеrve /srv/app at 8123": "has letters that look like others",  # Cyrillic е
    "покажи git-логи, serve /srv/app at 8123": None,
    "日本git serve /srv/app at 8123": None,
    "покажи git_логи, serve /srv/app at 8123": "has letters that look like others",
    "Sure! Here is the request: serve /srv/app at 8123": "begins as an answer",
}


@pytest.mark.parametrize("phrasing", FAULTS)
def test_a_phrasing_says_the_values_of_the_request_and_no_others(phrasing: str) -> None:
    assert fault(REQUEST, ANSWER, phrasing) == FAULTS[phrasing]


WORDS = "would somebody kindly see to it that PORT answers"
COMMAND = {"tool": "run", "args": {"command": "systemctl restart nginx && du -sh /var/log"}}


@pytest.mark.parametrize(
    ("phrasing", "reason"),
    [
        ("nginx again, then the size of /var/log", None),
        ("the web server again, then the size of /var/log", "drops a value"),
        ("nginx again, then the size of the logs", "drops a value"),
    ],
)
def test_values_inside_a_longer_text_of_the_answer_are_said_too(phrasing: str, reason: str | None) -> None:
    assert fault("restart nginx, then how big is /var/log?", COMMAND, phrasing, ["nginx", "/var/log"]) == reason


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (f'"{WORDS}"', WORDS),
        (f"“{WORDS}”", WORDS),
        (f"{WORDS} as “x”", f"{WORDS} as “x”"),
        (f"'x' {WORDS} 'y'", f"'x' {WORDS} 'y'"),
        (f"{WORDS}, Tom's", f"{WORDS}, Tom's"),
    ],
)
def test_quotes_around_a_phrasing_are_taken_off_and_those_inside_are_left(written: str, kept: str) -> None:
    task = made(Scripted(written, RIGHT)).train[0]
    assert task.request == kept.replace("PORT", str(task.expected["args"]["port"]))


@for_all(strategies.integers(0, 10**6), strategies.integers(0, 10**6))
def test_another_number_never_stands_for_the_value(value: int, other: int) -> None:
    reason = fault(f"open port {value}", {"tool": "open", "args": {"port": value}}, f"let traffic in on {other}")
    assert (reason is None) == (value == other)


class Scripted:
    """Writes by a pattern, and reads by another; it counts what it is asked."""

    name = "scripted"

    def __init__(self, phrasing: str, answer: str) -> None:
        self.phrasing, self.answer, self.asked = phrasing, answer, 0

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        for place, prompt in reversed(list(enumerate(prompts))):
            self.asked += 1
            said = prompt[-1].content
            port = re.findall(r"\d{4}", said)[-1] if re.search(r"\d{4}", said) else "0"
            text = self.phrasing if "Reply with the request alone" in said else self.answer
            yield place, Completion(text.replace("PORT", port), 1, 1, "stop")


DOCUMENT: dict[str, Any] = {
    "frames": ["{request}", "Please {request}."],
    "values": {"port": {"integers": [2000, 9000]}},
    "tasks": [
        {
            "name": "dev",
            "tool": "dev",
            "draw": {"port": {"from": "port"}},
            "args": {"port": "{port}"},
            "requests": ["open port {port}", "let traffic in on {port}", "make {port} reachable"],
        }
    ],
}
RIGHT = '{"tool": "dev", "args": {"port": PORT, "tag": null, "path": null, "quiet": null}}'
RIGHT_CALL = {"tool": "dev", "args": {"port": 2001, "tag": None, "path": None, "quiet": None}}


def made(policy: Scripted, share: float = 1.0) -> Synthesis:
    return synthesise([given(DOCUMENT)], judge, rows=40, held_out=10, seed=0, rephrasing=Rephrasing(policy, share))


def test_what_reads_back_as_its_call_takes_the_place_of_the_template_in_training_alone() -> None:
    policy = Scripted(WORDS, RIGHT)
    synthesis = made(policy)
    assert len(synthesis.train) == 40 and policy.asked == 80
    for task in synthesis.train:
        assert task.request == WORDS.replace("PORT", str(task.expected["args"]["port"]))
        assert "rephrased" in task.tags and task.origin == "rule"
    assert not any("rephrased" in task.tags for task in synthesis.held_out)
    sides = synthesis.profile.skills["small"]
    assert sides.train.rephrased == {"kept": 40} and sides.held_out.rephrased == {}
    assert made(policy).profile.digests == synthesis.profile.digests


@pytest.mark.parametrize(
    ("phrasing", "answer", "reason"),
    [
        (WORDS, RIGHT.replace('"dev"', '"stop"'), "is answered otherwise"),
        (WORDS, "Sure, I can help with that!", "is answered otherwise"),
        ("would somebody see to it", RIGHT, "drops a value"),
        (WORDS + " for 60 seconds", RIGHT, "adds a value"),
    ],
)
def test_a_template_stands_in_for_what_fails(phrasing: str, answer: str, reason: str) -> None:
    plain = synthesise([given(DOCUMENT)], judge, rows=40, held_out=10, seed=0)
    synthesis = made(Scripted(phrasing, answer))
    assert synthesis.profile.skills["small"].train.rephrased == {reason: 40}
    assert {task.request for task in synthesis.train} == {task.request for task in plain.train}


def test_words_of_a_suite_are_counted_as_such() -> None:
    words = "would somebody be so kind as to see to it that PORT answers"
    seed = Seed(request=words.replace("PORT", "nobody"), expected={"tool": "stop", "args": {}})
    skill = given(DOCUMENT, suites=[Suite(name="core", tasks=(seed,))])
    rephrasing = Rephrasing(Scripted(words, RIGHT), 1.0)
    synthesis = synthesise([skill], judge, rows=20, held_out=5, seed=0, rephrasing=rephrasing)
    (reason,) = synthesis.profile.skills["small"].train.rephrased
    assert "in a row with a suite" in reason


def test_only_the_share_is_asked_and_the_rows_do_not_depend_on_who_writes() -> None:
    halves: list[Any] = [made(Scripted(words, RIGHT), 0.5) for words in (WORDS, WORDS + " soon")]
    kept = [half.profile.skills["small"].train.rephrased["kept"] for half in halves]
    assert kept[0] == kept[1] and 8 < kept[0] < 32
    targets = [sorted(str(task.expected) for task in half.train) for half in halves]
    assert targets[0] == targets[1]


def test_words_that_are_held_out_are_never_trained_on_whoever_writes_them() -> None:
    names = ["open port {port}", "let traffic in on {port}", "make {port} reachable", "unblock {port}", "free {port}"]
    rule = {**DOCUMENT["tasks"][0], "requests": names}
    document = {**DOCUMENT, "frames": ["{request}"], "held_out": 0.2, "tasks": [rule]}
    plain = synthesise([given(document)], judge, rows=20, held_out=5, seed=0)
    (held,) = {re.sub(r"\d+", "PORT", task.request.lower()).rstrip(".") for task in plain.held_out}
    policy = Scripted(f"kindly {held}", RIGHT)
    synthesis = synthesise([given(document)], judge, rows=20, held_out=5, seed=0, rephrasing=Rephrasing(policy, 1.0))
    assert synthesis.profile.skills["small"].train.rephrased == {"shows what is held out": 20}
    assert not any("kindly" in task.request for task in synthesis.train)


@pytest.mark.parametrize("learned", ["phrasing", "value"])
def test_what_people_approved_moves_no_split_and_shows_nothing_that_is_held_out(learned: str) -> None:
    plain = synthesise([given(DOCUMENT)], judge, rows=40, held_out=20, seed=0)
    task = next(task for task in plain.held_out)
    port = task.expected["args"]["port"]
    shown = {"phrasing": task.request.replace(str(port), "2001"), "value": f"do as ever with {port}"}[learned]
    gold = {**task.expected, "args": {**task.expected["args"], "port": 2001 if learned == "phrasing" else port}}
    traces = [
        Seed(request=shown, expected=gold, tags=("trace",)),
        Seed(request="the usual for 2001 if you would", expected=RIGHT_CALL, tags=("trace",)),
    ]
    synthesis = synthesise([given(DOCUMENT, seeds=traces)], judge, rows=40, held_out=20, seed=0)
    assert synthesis.profile.digests["held_out"] == plain.profile.digests["held_out"]
    assert shown not in {task.request for task in synthesis.train}
    assert "the usual for 2001 if you would" in {task.request for task in synthesis.train}
    assert any("1 approved requests are left out" in note for note in synthesis.profile.skills["small"].notes)


def test_one_phrasing_for_two_answers_is_kept_for_neither() -> None:
    """A model that reads everything as anything cannot make a request with two answers."""

    def rule(tool: str, *requests: str) -> dict[str, Any]:
        draw = {"port": {"from": [80]}}
        return {"name": tool, "tool": tool, "draw": draw, "args": {"port": "{port}"}, "requests": list(requests)}

    document = {"frames": DOCUMENT["frames"], "tasks": [rule("dev", "open it", "go"), rule("stop", "close it", "end")]}

    class Obliging(Scripted):
        def complete(self, prompts: Any, *, max_new_tokens: int) -> Iterator[tuple[int, Completion]]:
            for place, prompt in enumerate(prompts):
                writing = "Reply with the request alone" in prompt[-1].content
                yield place, Completion("do the needful" if writing else RIGHT.replace("PORT", "80"), 1, 1, "stop")

    synthesis = synthesise(
        [given(document)], judge, rows=8, held_out=0, seed=0, rephrasing=Rephrasing(Obliging("", ""), 1.0)
    )
    answers: dict[str, set[str]] = {}
    for task in synthesis.train:
        answers.setdefault(task.request, set()).add(str(task.expected))
    assert all(len(found) == 1 for found in answers.values())

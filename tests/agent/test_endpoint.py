"""A server's model as a policy: what it answers, and that no fault of a server becomes an answer or a wait."""

from __future__ import annotations

import dataclasses
import json
import time
import urllib.request
from collections.abc import Generator
from typing import Any

import pytest

from skillpm.agent.endpoint import EndpointError, EndpointPolicy
from skillpm.errors import UsageError
from skillpm.index.transport import Patience
from skillpm.model.contract import Tool
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from tests.chat import MakeChat
from tests.conftest import Project
from tests.shop import MakeProject

QUICK = Patience(connect=1.0, idle=0.5, whole=1.0, sleep=lambda seconds: None)
SCHEMA = {"type": "object", "properties": {"port": {"type": "integer"}, "quiet": {"type": "boolean"}}, "required": []}
DEV = Tool(name="dev", input_schema=SCHEMA)


def ask(url: str, text: str = "go", **options: Any) -> Completion:
    policy = EndpointPolicy(url, **{"patience": QUICK, "environment": {}, **options})
    ((index, completion),) = policy.complete([[Message(role="user", content=text)]], max_new_tokens=50)
    assert index == 0
    return completion


def test_a_servers_text_and_its_native_calls_become_one_form_of_answer(chat: MakeChat) -> None:
    url = chat({"go": "hello", "call": {"calls": [["dev", {"port": 3}]]}, "cut": {"text": "{", "reason": "length"}})
    assert ask(f"{url}#tiny") == Completion("hello", 7, 3, "stop")
    assert ask(url, "cut").finish_reason == "length"  # without a name, the only model that it lists
    assert json.loads(ask(url, "call", tools=[DEV]).text) == {"tool": "dev", "args": {"port": 3, "quiet": None}}
    last = json.load(urllib.request.urlopen(url.replace("/v1", "/last")))
    assert last["body"]["tools"][0]["function"]["name"] == "dev" and last["authorization"] is None


def test_a_text_in_parts_is_one_text_without_what_was_thought_before(chat: MakeChat) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "They greet."}]}
    parts = [thought, {"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    assert ask(f"{chat({'go': {'text': parts}})}#tiny") == Completion("hello", 7, 3, "stop")


@pytest.mark.parametrize("tokens", [10**30, -1, "7", None])
def test_a_count_of_tokens_that_cannot_be_is_none(chat: MakeChat, tokens: object) -> None:
    assert ask(f"{chat({'go': {'text': 'hello', 'tokens': tokens}})}#tiny") == Completion("hello", 0, 3, "stop")


def test_a_server_is_asked_for_what_a_schema_accepts(chat: MakeChat) -> None:
    url = chat({"go": "hello"})
    policy = EndpointPolicy(url, patience=QUICK, environment={}).constrained(SCHEMA)
    list(policy.complete([[Message(role="user", content="go")]], max_new_tokens=50))
    last = json.load(urllib.request.urlopen(url.replace("/v1", "/last")))
    assert last["body"]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_server_is_asked_for_answers_that_are_drawn_with_their_seed(chat: MakeChat) -> None:
    url = chat({"go": "hello"})
    greedy = EndpointPolicy(url, patience=QUICK, environment={})
    for policy, said in ((greedy.sampled(0.7, 5), {"temperature": 0.7, "seed": 5}), (greedy, {"temperature": 0})):
        list(policy.complete([[Message(role="user", content="go")]], max_new_tokens=50))
        body = json.load(urllib.request.urlopen(url.replace("/v1", "/last")))["body"]
        assert {name: body[name] for name in ("temperature", "seed") if name in body} == said


def test_two_native_calls_are_never_read_as_one(chat: MakeChat) -> None:
    from skillpm.contract.answer import read_answer

    url = chat({"go": {"calls": [["dev", {"port": 3}], ["dev", {"port": 4}]]}})
    assert read_answer(ask(url).text).reason == "more than one JSON object"


def test_many_prompts_are_asked_at_once_and_each_gets_its_own_answer(chat: MakeChat) -> None:
    url = chat({str(number): f"answer {number}" for number in range(20)})
    policy = EndpointPolicy(url, batch_size=8, environment={})
    prompts = [[Message(role="user", content=str(number))] for number in range(20)]
    answers = dict(policy.complete(prompts, max_new_tokens=5))
    assert [answers[number].text for number in range(20)] == [f"answer {number}" for number in range(20)]


def test_who_reads_no_more_answers_does_not_wait_for_a_slow_one(chat: MakeChat) -> None:
    """As after Ctrl-C; the answers that are read stand."""
    url = chat({"0": "at once", "1": {"fault": "never"}})
    patient = dataclasses.replace(QUICK, idle=60.0, whole=60.0)
    policy = EndpointPolicy(url, batch_size=2, patience=patient, environment={})
    answers = policy.complete([[Message(role="user", content=text)] for text in "01"], max_new_tokens=5)
    assert next(answers)[1].text == "at once"
    began = time.monotonic()
    assert isinstance(answers, Generator)
    answers.close()
    assert time.monotonic() - began < 30


def test_what_a_bounded_server_was_asked_still_comes_and_nothing_more_is_asked(chat: MakeChat) -> None:
    url = chat({"*": "hello", "2": {"fault": "status", "status": 400}})
    last = url.replace("/v1", "/last")
    before = json.load(urllib.request.urlopen(last))["asked"]
    got: list[str] = []
    policy = EndpointPolicy(f"{url}#tiny", batch_size=4, patience=QUICK, environment={})
    prompts = [[Message(role="user", content=str(number))] for number in (0, 1, *range(3, 50), 2)]
    for _, completion in policy.bounded(lambda: bool(got), None).complete(prompts, max_new_tokens=5):
        got.append(completion.text)
    asked = json.load(urllib.request.urlopen(last))["asked"] - before
    assert 1 <= len(got) == asked <= 2 * 4


def test_no_answer_of_a_bounded_server_is_waited_for_beyond_its_deadline(chat: MakeChat) -> None:
    patient = dataclasses.replace(QUICK, idle=60.0, whole=60.0)
    policy = EndpointPolicy(f"{chat({'*': {'fault': 'never'}})}#tiny", patience=patient, environment={})
    began = time.monotonic()
    bounded = policy.bounded(lambda: time.monotonic() > began + 0.1, began + 0.1)
    assert list(bounded.complete([[Message(role="user", content="go")]], max_new_tokens=5)) == []
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 503}, {"status": 500, "after": "soon"}])
def test_a_busy_server_is_asked_again_as_it_says(chat: MakeChat, fault: dict[str, Any]) -> None:
    pauses: list[float] = []
    patience = dataclasses.replace(QUICK, sleep=pauses.append)
    url = chat({"go": {"text": "at last", "fault": "busy", "after": "3", **fault}})
    assert ask(f"{url}#tiny", patience=patience).text == "at last"
    assert pauses == ([3.0, 3.0] if fault.get("after") is None else [0.5, 1.0])


def test_a_server_with_too_many_requests_is_given_a_minute_and_asked_for_it_once(chat: MakeChat) -> None:
    pauses: list[float] = []
    said: list[str] = []
    patience = dataclasses.replace(QUICK, sleep=pauses.append)
    url = chat({"go": {"fault": "status", "status": 429}})
    with pytest.raises(EndpointError, match="does not answer: it answers 429") as failed:
        ask(f"{url}#tiny", patience=patience, say=said.append)
    assert 60 <= sum(pauses) <= 120 and max(pauses) <= 30
    assert (failed.value.hint, len(said)) == ("it has too many requests: try again later", 1)


FAULTS = {
    "is busy for longer": ({"fault": "busy", "after": "900"}, "asks for a pause of 900 seconds: busy"),
    "calls an error a success": (
        {"fault": "status", "status": 200, "text": "model is loading"},
        "answers 200: model is",
    ),
    "has moved": (
        {"fault": "status", "status": 307, "location": "http://new/v1"},
        "307: it has moved to http://new/v1",
    ),
    "is always broken": ({"fault": "status", "status": 500}, "does not answer: it answers 500"),
    "refuses": ({"fault": "status", "status": 400, "text": "bad \x1b[31mrequest"}, "answers 400: bad"),
    "demands a key": ({"fault": "status", "status": 401}, "answers 401"),
    "never answers": ({"fault": "never"}, "does not answer: no answer in time"),
    "answers a byte at a time": ({"fault": "slow"}, "took more than 1 seconds"),
    "answers with 5 MB": ({"fault": "garbage", "body": "x" * (5 << 20)}, "more than the allowed 4194304 bytes"),
    "answers with a page": ({"fault": "garbage", "body": "<html>"}, "not answer in the form of chat completions"),
    "answers with a list": ({"fault": "garbage", "body": [1]}, "not answer in the form"),
    "answers without a choice": ({"fault": "garbage", "body": {"choices": []}}, "not answer in the form"),
    "answers with a number": ({"fault": "garbage", "body": {"choices": [{"message": {"content": 3}}]}}, "not answer"),
    "answers with a picture": (
        {"text": [{"type": "image_url", "image_url": {}}]},
        "answers with a part of the type `image",
    ),
    "answers with a part that lacks its text": ({"text": [{"type": "text"}]}, "not answer in the form"),
    "answers too deeply": ({"fault": "garbage", "body": "[" * 100_000}, "not answer in the form"),
    "is another model": ({"model": "huge-9b"}, "answers as `huge-9b`, not as `tiny`"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_server_does_wrong_is_an_error_that_names_it(chat: MakeChat, fault: str) -> None:
    answer, text = FAULTS[fault]
    url = chat({"go": answer})
    with pytest.raises(EndpointError, match=text.replace("(", r"\(")) as caught:
        ask(f"{url}#tiny")
    assert url in caught.value.message and caught.value.exit_code == 5 and caught.value.hint
    assert "registry" not in caught.value.hint


def test_a_request_that_is_too_long_for_the_server_is_an_answer_like_that_of_a_local_model(chat: MakeChat) -> None:
    url = chat({"go": {"fault": "status", "status": 400, "text": "maximum context length is 8 tokens"}})
    assert ask(f"{url}#tiny").finish_reason == "too_long"


def test_nobody_listening_is_an_error() -> None:
    said: list[str] = []
    with pytest.raises(EndpointError, match="does not answer"):
        ask("http://127.0.0.1:1/v1#tiny", say=said.append)
    assert len(said) == 1 and "asking again" in said[0] and "refused" in said[0]


@pytest.mark.parametrize("status", [400, 402, 404, 422])
def test_a_request_that_the_server_refuses_is_not_its_fault(chat: MakeChat, status: int) -> None:
    url = chat({"go": {"fault": "status", "status": status, "text": "no"}})
    with pytest.raises(EndpointError) as caught:
        ask(f"{url}#tiny")
    assert "the model's name" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("http://", {}, "not the address"),
        ("http://[::1", {}, "not the address"),
        ("https://me:secret@api.example.org/v1", {}, "holds a key"),
        ("https://api.example.org/v1#m", {"offline": True}, "--offline"),
        ("http://api.example.org/v1#m", {"environment": {"SKILLPM_TOKEN_API_EXAMPLE_ORG": "x"}}, "unencrypted"),
    ],
)
def test_an_address_that_would_leak_or_cannot_be_used_is_refused(url: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        EndpointPolicy(url, **{"environment": {}, **options})
    assert "secret" not in str(caught.value.document())


def test_the_key_of_a_host_is_sent_to_it(chat: MakeChat) -> None:
    url = chat({"go": "hello"})
    port = url.split(":")[2].removesuffix("/v1")
    ask(url, environment={f"SKILLPM_TOKEN_127_0_0_1_{port}": "let-me-in"})
    assert json.load(urllib.request.urlopen(url.replace("/v1", "/last")))["authorization"] == "Bearer let-me-in"


def test_eval_measures_a_servers_model(chat: MakeChat, project: MakeProject) -> None:
    from tests.cli.conftest import CONTRACT

    rows: list[dict[str, Any]] = [
        {"request": f"use {port}", "expected": {"tool": "dev", "args": {"port": port}}} for port in range(4)
    ]
    url = chat({row["request"]: json.dumps(row["expected"]) for row in rows[1:]})
    place: Project = project(
        {
            "skills/server/SKILL.md": "---\nname: server\ndescription: Starts servers. For servers.\n---\nPorts.\n",
            "skills/server/contract.yaml": CONTRACT,
            "skills/server/suites/ports.yaml": json.dumps({"name": "ports", "tasks": rows}),
        }
    )
    place.call("eval", "./skills/server", "--model", url, "--output", "out").ok()
    (arm,) = json.loads((place.root / "out" / "evaluation.json").read_text())["arms"]
    assert arm["model"] == url and arm["settings"]["endpoint_model"] == "tiny"
    assert [record["exact"] for record in arm["records"]] == [False, True, True, True]

"""What a client of the server gets: calls that the contract accepts, or a status and the reasons."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from skillpm.agent.endpoint import EndpointPolicy
from skillpm.agent.together import Together
from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from skillpm.model.ports import Completion
from skillpm.model.task import Message
from tests.agent.conftest import CALIBRATION, CONTRACT, Script, call, listening, started
from tests.chat import MakeChat
from tests.conftest import Project
from tests.shop import MakeProject

pytest.importorskip("starlette")
TOUCH = call("touch", "new")
ASKED = {"messages": [{"role": "user", "content": "make a file"}]}


LONE = b'{"messages": [{"role": "user", "content": "\\ud800"}]}'


def called(arguments: str, content: str | None = None) -> dict[str, Any]:
    """Return an assistant's message that calls a tool."""
    calls = [{"id": "1", "type": "function", "function": {"name": "touch", "arguments": arguments}}]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def client(*answers: str, tries: int = 3, contract: str = CONTRACT, confidence: float | None = None) -> Any:
    from starlette.testclient import TestClient

    from skillpm.agent.serving import VerifiedModel, application

    script = Script(*answers, confidence=confidence)
    together, read = Together(script, 4), Contract(read_model(ContractDocument, contract))
    model = VerifiedModel("demo", read, together, "Be brief.", tries, calibration=CALIBRATION if confidence else None)
    asked = TestClient(application(model), base_url="http://127.0.0.1")
    asked.script = script  # type: ignore[attr-defined]
    return asked


def test_an_accepted_answer_is_a_tool_call_with_its_command() -> None:
    document = client(TOUCH).post("/v1/chat/completions", json=ASKED).json()
    (choice,) = document["choices"]
    assert choice["finish_reason"] == "tool_calls" and document["skillpm"] == {"argv": [["touch", "new"]], "tries": 1}
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "touch", "arguments": '{"path": "new"}'}


@pytest.mark.parametrize(("confidence", "decision"), [(0.95, "act"), (0.9, "act"), (0.5, "confirm"), (0.41, "confirm")])
def test_a_calibrated_answer_says_what_it_may_do(confidence: float, decision: str) -> None:
    document = client(TOUCH, confidence=confidence).post("/v1/chat/completions", json=ASKED).json()
    assert document["skillpm"] == {
        "argv": [["touch", "new"]], "tries": 1, "confidence": confidence, "decision": decision
    }  # fmt: skip
    again = client("Sure!", TOUCH, confidence=0.99).post("/v1/chat/completions", json=ASKED).json()
    assert again["skillpm"]["decision"] == "confirm", "no second answer was ever evaluated"


@pytest.mark.parametrize(
    ("messages", "decision"),
    [
        ([{"role": "system", "content": "Be brief."}, *ASKED["messages"]], "act"),
        ([{"role": "system", "content": "Be bold."}, *ASKED["messages"]], "confirm"),
        ([*ASKED["messages"], {"role": "assistant", "content": TOUCH}, *ASKED["messages"]], "confirm"),
    ],
)
def test_only_an_answer_to_the_evaluated_prompt_acts(messages: list[Any], decision: str) -> None:
    document = client(TOUCH, confidence=0.99).post("/v1/chat/completions", json={"messages": messages}).json()
    assert document["skillpm"]["decision"] == decision


def test_the_model_reads_its_own_calls_as_it_writes_them() -> None:
    asked = client(TOUCH)
    messages = [*ASKED["messages"], called('{"path": "old"}', "I make it."), *ASKED["messages"]]
    asked.post("/v1/chat/completions", json={"messages": messages, "max_tokens": None, "n": 1, "seed": 3})
    assert json.loads(asked.script.prompts[0][2].content) == {"tool": "touch", "args": {"path": "old"}}


def test_an_answer_that_is_too_unsure_is_refused_with_the_reason() -> None:
    refused = client(TOUCH, confidence=0.4).post("/v1/chat/completions", json=ASKED)
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "confidence"
    assert refused.json()["error"]["reasons"] == [
        "its confidence is 0.4000, and at most 30% of answers up to 0.4000 are right"
    ]


def test_a_refused_answer_is_tried_again_with_the_reasons_and_then_422() -> None:
    asked = client("Sure!", TOUCH)
    assert asked.post("/v1/chat/completions", json=ASKED).json()["skillpm"]["tries"] == 2
    again = asked.script.prompts[1]
    assert again[0].content == "Be brief." and again[-1].content.startswith("That is refused: not JSON")
    refused = client("Sure!", call("rm", "x"), tries=2).post("/v1/chat/completions", json=ASKED)
    assert refused.status_code == 422
    assert refused.json()["error"]["reasons"] == ["not JSON: a value is missing", "unknown tool 'rm'"]


def test_a_stream_holds_the_whole_call() -> None:
    text = client(TOUCH).post("/v1/chat/completions", json={**ASKED, "stream": True}).text
    first, last, end = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert json.loads(first)["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "touch"
    assert json.loads(last)["choices"][0]["finish_reason"] == "tool_calls" and end == "[DONE]"
    assert json.loads(last)["skillpm"] == {"argv": [["touch", "new"]], "tries": 1}


def test_an_answer_that_calls_nothing_is_a_plain_message() -> None:
    opened = CONTRACT.replace("contract: 1\n", "contract: 1\nanswers: [call, ask, refuse, answer]\n")
    said = {
        '{"refuse": "off_topic"}': "This request is not what the skill is for.",
        '{"tool": "show", "ask": ["path"]}': "A value is missing:\n  path: The file to print.",
        '{"answer": "Two tools."}': "Two tools.",
    }
    for answer, text in said.items():
        document = client(answer, contract=opened).post("/v1/chat/completions", json=ASKED).json()
        (choice,) = document["choices"]
        assert choice == {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        assert document["skillpm"] == {"argv": None, "tries": 1, "reply": json.loads(answer)}
        stream = client(answer, contract=opened).post("/v1/chat/completions", json={**ASKED, "stream": True}).text
        first, last, _ = [json.loads(line[6:]) if line[6] == "{" else line for line in stream.split("\n\n") if line]
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": text}
        assert last["choices"][0]["finish_reason"] == "stop"
        assert client(answer, tries=1).post("/v1/chat/completions", json=ASKED).status_code == 422


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"[]", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"content": b"x" * (2 << 20), "headers": {"content-type": "application/json"}}, 413),
        ({"json": {}}, 400),
        ({"json": {"messages": [{"role": "root", "content": "x"}]}}, 400),
        ({"json": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}}, 400),
        ({"json": {"messages": [3]}}, 400),
        ({"json": {"messages": [{"role": "user"}]}}, 400),
        ({"json": {**ASKED, "stream": "yes"}}, 400),
        ({"json": {**ASKED, "max_tokens": -1}}, 400),
        ({"json": {**ASKED, "max_tokens": 0}}, 400),
        ({"json": {**ASKED, "max_completion_tokens": 1 << 40}}, 400),
        ({"json": {**ASKED, "n": 2}}, 400),
        ({"json": {"messages": [called("[" * 100_000)]}}, 400),
        ({"content": LONE, "headers": {"content-type": "application/json"}}, 400),
        ({"json": {**ASKED, "model": "other"}}, 404),
        ({"json": ASKED, "headers": {"host": "evil.example"}}, 421),
        ({"json": ASKED, "headers": {"origin": "https://evil.example"}}, 403),
    ],
)
def test_what_a_client_does_wrong_is_a_status_and_reaches_no_model(sent: dict[str, Any], status: int) -> None:
    asked = client()
    assert asked.post("/v1/chat/completions", **sent).status_code == status and not asked.script.prompts


def test_the_answer_of_a_client_that_disconnects_is_stopped() -> None:
    import uvicorn

    from skillpm.agent.serving import VerifiedModel, application

    began, stopped = threading.Event(), threading.Event()

    class Slow(Script):
        unwanted: Callable[[int], bool]

        def stoppable(self, unwanted: Callable[[int], bool]) -> Slow:
            self.unwanted = unwanted
            return self

        def complete(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> Any:
            began.set()
            while not self.unwanted(0):
                time.sleep(0.001)
            stopped.set()
            yield 0, Completion("", 1, 1, "length")

    model = VerifiedModel("demo", Contract(read_model(ContractDocument, CONTRACT)), Together(Slow(), 4), "")
    server = uvicorn.Server(uvicorn.Config(application(model), log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        running = threads.submit(server.run, [listener])
        body = json.dumps(ASKED).encode()
        head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        with socket.create_connection(listener.getsockname()) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)
            assert began.wait(30) and not stopped.wait(0.05)
        assert stopped.wait(30)
        server.should_exit = True
        running.result(30)


DEMO = {
    "demo/SKILL.md": "---\nname: demo\ndescription: Shows. For files.\n---\nShow.\n",
    "demo/contract.yaml": CONTRACT,
}


@pytest.mark.slow
def test_ctrl_c_ends_a_request_that_waits_for_a_model_without_a_traceback(project: MakeProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as threads:
        model = f"http://127.0.0.1:{silent.getsockname()[1]}/v1#tiny"
        with started(project(DEMO), "serve", "./demo", "--model", model, says="serving demo at") as (process, port):
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            threads.submit(urllib3.request, "POST", url, json=ASKED, retries=False)
            with silent.accept()[0] as connection:
                connection.recv(1)
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=60)[1]
                assert "Traceback" not in said and said.endswith("\ninterrupted: the server has ended\n")
                assert process.returncode == 130


@pytest.fixture
def served(project: MakeProject, chat: MakeChat) -> Iterator[str]:
    """``skillpm serve`` in a process of its own, in front of another server."""
    place: Project = project(DEMO)
    url = chat({"make a file": {"calls": [["touch", {"path": "new"}]]}})
    with listening(place, "serve", "./demo", "--model", f"{url}#tiny", says="serving demo at") as port:
        yield f"http://127.0.0.1:{port}/v1"


def test_our_own_client_reads_what_our_server_answers(served: str) -> None:
    policy = EndpointPolicy(served, environment={})
    ((_, completion),) = policy.complete([[Message(role="user", content="make a file")]], max_new_tokens=50)
    assert (
        json.loads(completion.text) == {"tool": "touch", "args": {"path": "new"}}
        and policy.settings["endpoint_model"] == "demo"
    )

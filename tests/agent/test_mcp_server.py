"""Skills behind the Model Context Protocol, asked by the official SDK's own client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
import urllib3

from tests.agent.conftest import listening, started
from tests.conftest import ROOT, Project
from tests.shop import MakeProject

pytest.importorskip("mcp")

CONTRACT = """\
contract: 1
tools:
  - name: show
    description: Print a file.
    input_schema:
      type: object
      properties: {path: {type: string}, timeout_seconds: {type: integer}}
      required: [path]
      additionalProperties: false
    argv: [cat, {value: path}]
    read_only: true
  - name: touch
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    argv: [touch, {value: path}]
"""


@pytest.fixture
def place(project: MakeProject) -> Project:
    return project(
        {
            "note": "a note\x1b[31m\n",
            "demo/SKILL.md": "---\nname: demo\ndescription: Shows files. For files.\n---\nUse show.\n",
            "demo/skill.yaml": "manifest: 1\nversion: 1.0.0\npermissions: {run: [touch, cat]}\n",
            "demo/contract.yaml": CONTRACT,
            "demo/references/more.md": "More.\n",
            "demo/references/binary.bin": b"\0\1",
        }
    )


async def converse(place: Project, *options: str) -> dict[str, Any]:
    """Ask a server everything once."""
    from mcp.client.stdio import StdioServerParameters, stdio_client

    environment = {**os.environ, **place.environment, "PYTHONPATH": str(ROOT)}
    words = ["-m", "skillpm", "mcp", "./demo", *options]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=environment, cwd=str(place.root))
    with Path(os.devnull).open("w") as nowhere:
        return await everything(stdio_client(parameters, errlog=nowhere))


async def everything(transport: Any) -> dict[str, Any]:
    """Ask a server, behind a transport or of this process, everything once."""
    from mcp.client.client import Client
    from mcp.shared.exceptions import MCPError

    said: dict[str, Any] = {}
    async with Client(transport) as client:
        said["tools"] = (await client.list_tools()).tools
        said["show"] = await client.call_tool("demo__show", {"path": "note"})
        said["wrong"] = await client.call_tool("demo__show", {"path": 3})
        said["option"] = await client.call_tool("demo__show", {"path": "--help"})
        try:
            said["touch"] = await client.call_tool("demo__touch", {"path": "made"})
        except MCPError as error:
            said["touch"] = str(error)
        said["resources"] = [item.uri for item in (await client.list_resources()).resources]
        said["more"] = await client.read_resource("skill://demo/references/more.md")
        said["prompt"] = await client.get_prompt("demo", {"request": "show it"})
        for uri in ("skill://demo/../note", "skill://demo/contract.yaml"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
    return said


def text(result: Any) -> str:
    return str(result.content[0].text)


def check(place: Project, said: dict[str, Any], *, read_only: bool) -> None:
    """Assert that a client has seen the skill, that its tools ran in the sandbox, and that the log has it."""
    tools = {tool.name: tool for tool in said["tools"]}
    assert list(tools) == (["demo__show"] if read_only else ["demo__show", "demo__touch"])
    assert tools["demo__show"].annotations.read_only_hint and "Print a file." in tools["demo__show"].description
    assert text(said["show"]) == "a note\\x1b[31m\n[cat: exit code 0]"
    assert said["wrong"].is_error and "refused: " in text(said["wrong"])
    assert "must not start with" in text(said["option"])
    assert (place.root / "made").exists() is not read_only
    assert said["resources"] == ["skill://demo/SKILL.md", "skill://demo/references/more.md"]
    assert said["more"].contents[0].text == "More.\n"
    assert said["prompt"].messages[0].content.text.endswith("Use show.\n\n\nshow it")
    log = place.call("audit", "list", "--json").ok().document
    assert [(entry["event"], entry["word"]) for entry in log[:2]] == [("decision", "client"), ("outcome", "client")]
    assert len(log) == (2 if read_only else 4) and place.call("audit", "verify").ok()


def test_the_sdks_client_reads_skills_and_calls_their_tools_in_the_sandbox(place: Project) -> None:
    check(place, anyio.run(converse, place), read_only=False)


def in_process(place: Project, skills: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Ask a server that only reads everything once, without a process of its own."""
    monkeypatch.chdir(place.root)
    return anyio.run(everything, skills(read_only=True).server)


def test_a_server_that_only_reads_hides_the_other_tools(
    place: Project, skills: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(place, in_process(place, skills, monkeypatch), read_only=True)


@pytest.mark.slow
def test_the_same_over_http_to_a_client_that_comes_back(place: Project) -> None:
    """One client goes in the middle of a call; another has everything, and the log has the call of the first."""
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async def leave(url: str) -> None:
        async with Client(streamable_http_client(url)) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "demo__show", {"path": "pipe", "timeout_seconds": 60})
            while not (Path(place.environment["SKILLPM_HOME"]) / "data/audit.jsonl").exists():
                await anyio.sleep(0.1)
            group.cancel_scope.cancel()

    os.mkfifo(place.root / "pipe")
    with listening(place, "mcp", "./demo", "--http", says="/mcp") as port:
        url = f"http://127.0.0.1:{port}/mcp"
        anyio.run(leave, url)
        said = anyio.run(everything, streamable_http_client(url))
        for _ in range(100):
            log = place.call("audit", "list", "--json").ok().document
            if len(log) == 6:
                break
            time.sleep(0.1)
    assert sorted(entry["ended"] for entry in log) == ["", "", "", "exited", "exited", "stopped"]
    assert text(said["show"]).startswith("a note") and (place.root / "made").exists()


@pytest.mark.slow
def test_ctrl_c_ends_a_running_call_and_the_log_has_how_it_ended(place: Project) -> None:
    headers = {"accept": "application/json, text/event-stream"}
    os.mkfifo(place.root / "pipe")
    with started(place, "mcp", "./demo", "--http", says="/mcp") as (process, port), ThreadPoolExecutor(1) as thread:
        url, arguments = f"http://127.0.0.1:{port}/mcp", {"path": "pipe", "timeout_seconds": 60}
        session = urllib3.request("POST", url, json=HELLO, headers=headers).headers["mcp-session-id"]
        params = {"name": "demo__show", "arguments": arguments}
        sent = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
        more = {**headers, "mcp-session-id": session}
        thread.submit(urllib3.request, "POST", url, json=sent, headers=more, retries=False)
        while not (Path(place.environment["SKILLPM_HOME"]) / "data/audit.jsonl").exists():
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate(timeout=60)[1] and process.returncode == 130
    log = place.call("audit", "list", "--json").ok().document
    assert [entry["ended"] for entry in log] == ["", "stopped"] and place.call("audit", "verify").ok()


@pytest.fixture
def skills(place: Project) -> Callable[..., Any]:
    """``skills(read_only)``: the skills behind the protocol, in this process."""
    from skillpm.ops.context import Context
    from skillpm.ops.learning.serve import skill_server
    from skillpm.settings import load_settings

    def make(*, read_only: bool) -> Any:
        context = Context(load_settings(project=place.root, environment=place.environment))
        return skill_server(context, context.skills([str(place.root / "demo")]), read_only=read_only)

    return make


@pytest.fixture
def over_http(skills: Callable[..., Any]) -> Callable[..., Any]:
    """``over_http(token)``: a client of HTTP for the server in this process, with the headers that MCP asks for."""
    from starlette.testclient import TestClient

    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}

    def make(token: str = "") -> Any:
        application = skills(read_only=True).application(token)
        return TestClient(application, base_url="http://127.0.0.1:8000", headers=headers)

    return make


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:6274"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8000"}, 421),
        ({"host": "127.0.0.1:8000@evil.example"}, 421),
        ({"host": "localhost.:8000"}, 421),
        ({"host": "0.0.0.0:8000"}, 421),
        ({"host": "LOCALHOST", "origin": "https://[::1]"}, 200),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:1.evil.example"}, 403),
        ({"origin": "http://localhost@evil.example"}, 403),
        ({"origin": ""}, 403),
        ({"host": "evil.example", "mcp-protocol-version": "2099-01-01"}, 421),
    ],
)
def test_without_a_token_only_this_machine_asks(over_http: Any, headers: dict[str, str], status: int) -> None:
    with over_http() as client:
        assert client.post("/mcp", json=HELLO, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer t"}, 401),
        ({"authorization": "Basic secret"}, 401),
        ({"authorization": "Bearer secret"}, 200),
        ({"authorization": "bearer secret"}, 200),
        ({"authorization": "Bearer  secret"}, 401),
        ({"authorization": "secret"}, 401),
        ({"authorization": "Bearer secret", "host": "skills.example"}, 200),
        ({"authorization": "Bearer secret", "origin": "http://localhost:6274"}, 403),
        ({"authorization": "Bearer secr\u00e9t"}, 401),
    ],
)
def test_with_a_token_whoever_knows_it_asks(over_http: Any, headers: dict[str, str], status: int) -> None:
    with over_http("secret") as client:
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        assert client.post("/mcp", json=HELLO, headers=encoded).status_code == status


@pytest.mark.parametrize("name", ["Authorization", "Host", "Origin", "Content-Type"])
def test_a_header_that_stands_once_is_refused_where_it_stands_twice(over_http: Any, name: str) -> None:
    with over_http("secret") as client:
        twice = client.post("/mcp", json=HELLO, headers=[(name, "Bearer secret"), (name.lower(), "Bearer other")])
        assert twice.status_code == 400 and name in twice.text


def called(client: Any, **arguments: Any) -> Any:
    """Return what one call of a new session gets."""
    session = {"mcp-session-id": client.post("/mcp", json=HELLO).headers["mcp-session-id"]}
    params = {"name": "demo__show", "arguments": arguments}
    sent = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
    answer = client.post("/mcp", json=sent, headers=session)
    return json.loads(answer.text.partition("data: ")[2])["result"]


def test_a_call_without_measure_or_with_signs_is_an_answer_and_secrets_stay_out_of_the_log(
    over_http: Any, place: Project
) -> None:
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3kL6"
    with over_http() as client:
        assert called(client, path=str(place.root / "note"), timeout_seconds=10**400)["isError"] is False
        (refused,) = called(client, path="note", **{"a\x1b[31m\x07": 1})["content"]
        assert called(client, path=token)["isError"] is True
        assert client.post("/mcp", json=HELLO, headers={"mcp-session-id": "0" * 32}).status_code == 404
    assert "\x1b" not in refused["text"] and "a\\x1b[31m" in refused["text"]
    log = place.call("audit", "list", "--json").ok().document
    assert len(log) == 4 and token not in json.dumps(log) and "[masked: " in json.dumps(log)


@pytest.mark.parametrize(
    ("body", "status"), [(b"x" * (2 << 20), 413), (b"[" * 100_000, 400), (b"{}", 400), (b"\xff", 400)]
)
def test_a_body_that_is_no_request_is_refused_and_the_server_goes_on(over_http: Any, body: bytes, status: int) -> None:
    with over_http() as client:
        assert client.post("/mcp", content=body).status_code == status
        assert client.post("/mcp", json=HELLO).status_code == 200


def test_every_line_on_stdin_that_is_not_a_message_gets_an_answer(place: Project) -> None:
    """The SDK drops such lines, and a client would wait for ever."""
    parse, request = -32700, -32600
    refused: dict[str, tuple[int, int | str | None]] = {
        r'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"\ud800"}}': (request, 2),
        r'{"jsonrpc":"2.0","id":"a","method":"\ud800"}': (request, "a"),
        r'{"jsonrpc":"2.0","id":"\ud800","method":"ping"}': (request, None),
        '{"jsonrpc":"2.0","id":3,"method":5}': (request, 3),
        '{"jsonrpc":"1.0","id":4,"method":"ping"}': (request, 4),
        '{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}': (request, 5),
        '[{"jsonrpc":"2.0","id":6,"method":"ping"}]': (request, None),
        '{"id":7,"result":"\\ud800"}': (request, None),
        '{"jsonrpc":"2.0","id":8,': (parse, None),
        '{"jsonrpc":"2.0","id":9,"id":9,"method":"\\ud800"}': (parse, None),
        "x": (parse, None),
    }
    environment = {**os.environ, **place.environment, "PYTHONPATH": str(ROOT)}
    sent = "\n".join([json.dumps(HELLO), *refused, "", json.dumps({**HELLO, "id": 99, "method": "ping"})])
    words = [sys.executable, "-m", "skillpm", "mcp", "./demo"]
    with subprocess.Popen(
        words,
        env=environment,
        cwd=place.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin and server.stdout and server.stderr
        server.stdin.write(f"{sent}\n")
        server.stdin.flush()
        said: list[dict[str, Any]] = []
        while not any(answer["id"] == 99 for answer in said):  # the SDK drops what waits when stdin ends
            said.append(json.loads(server.stdout.readline()))
        server.stdin.close()
        said += map(json.loads, server.stdout)
        errors = server.stderr.read()
    assert {answer["id"] for answer in said if "result" in answer} == {1, 99}  # whose answers take longer
    assert [(answer["error"]["code"], answer["id"]) for answer in said if "error" in answer] == [*refused.values()]
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--port", "9"), "`--port` and `--host` need `--http`"),
        (("--http", "--host", "0.0.0.0"), "set SKILLPM_MCP_TOKEN"),
        (("--http", "--host", "192.0.2.1"), "set SKILLPM_MCP_TOKEN"),
    ],
)
def test_other_machines_need_a_token(place: Project, words: tuple[str, ...], text: str) -> None:
    place.call("mcp", "./demo", *words).fails(2, text)


def test_a_tool_whose_program_is_missing_is_an_answer(
    place: Project, skills: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write({"demo/skill.yaml": "manifest: 1\nversion: 1.0.0\npermissions: {run: [touch]}\n"})
    said = in_process(place, skills, monkeypatch)
    assert said["show"].is_error and "`cat` is not permitted" in text(said["show"])


def test_a_token_is_long_and_an_address_is_of_this_machine(place: Project) -> None:
    words = ("mcp", "./demo", "--http", "--host", "192.0.2.1")
    place.call(*words, SKILLPM_MCP_TOKEN="short").fails(2, "SKILLPM_MCP_TOKEN is not a token")
    place.call(*words, SKILLPM_MCP_TOKEN="a" * 20).fails(2, "of 192.0.2.1 cannot be used")


def test_a_log_that_was_cut_is_told_before_a_client_is_served(place: Project) -> None:
    home = Path(place.environment["SKILLPM_HOME"])
    (home / "data").mkdir(parents=True, exist_ok=True)
    (home / "data/audit.head").write_text(f"3 {'0' * 64}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = place.call("mcp", "./demo", "--http", "--port", port).fails(2, "cannot be used")
    assert "the audit log was changed or cut" in told.err

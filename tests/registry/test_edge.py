"""What holds for every request: its number, its line in the log, and the limits of its body."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from skillpm_registry.edge import Edge, _Lines
from tests.registry.conftest import DEMO, Server, parcel, problem


@pytest.mark.attack(79)
def test_a_token_in_an_address_is_refused_and_never_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "skillpm_registry")
    token = server.owner.token
    coded = token.replace("_", "%5F")
    for path in (f"/config.json?token={token}", f"/search.json?q={coded}", f"/api/v1/{token}/x", f"/{token}"):
        assert problem(server.client.get(path)) == (400, "token-in-address")
    server.owner.ask("GET", "whoami")

    text = "\n".join(map(_Lines().format, caplog.records))
    assert len(caplog.records) == 5
    assert token not in text
    assert json.loads(text.splitlines()[-1])["account"] == "owner1"


@pytest.mark.parametrize("name", ["Authorization", "Host", "Range", "Content-Type", "Content-Encoding"])
@pytest.mark.parametrize("path", ["/config.json", "/api/v1/whoami", "/nothing"])
def test_a_header_that_stands_once_is_refused_where_it_stands_twice(server: Server, name: str, path: str) -> None:
    """One program would read the first, another the last."""
    value = f"Bearer {server.owner.token}"
    twice = server.client.get(path, headers=[(name, value), (name.lower(), value)])
    assert problem(twice) == (400, "ambiguous") and name in twice.json()["detail"] and twice.json()["hint"]
    lists = server.client.get("/config.json", headers=[("If-None-Match", '"a"'), ("If-None-Match", '"b"')])
    assert lists.status_code == 200


def test_each_request_has_a_number(server: Server) -> None:
    assert (
        server.client.get("/healthz", headers={"X-Request-Id": "from-outside-1"}).headers["x-request-id"]
        == "from-outside-1"
    )
    answer = server.client.get("/nothing", headers={"X-Request-Id": "a b\tc"})
    assert len(answer.headers["x-request-id"]) == 16
    assert answer.json()["request"] == answer.headers["x-request-id"]


@pytest.mark.attack(78)
def test_a_body_over_the_limit_is_refused_whatever_its_length_says(server: Server) -> None:
    wish, _ = parcel(DEMO)
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    assert problem(server.owner.send(number, bytes(25 << 20)))[0] == 413

    def pieces() -> Any:
        for _ in range(26):
            yield bytes(1 << 20)

    headers = {"Authorization": f"Bearer {server.owner.token}"}
    chunked = server.client.put(f"/api/v1/uploads/{number}/archive", content=pieces(), headers=headers)
    assert problem(chunked)[0] == 413
    assert list((server.root / ".server/uploads").iterdir()) == []
    assert problem(server.owner.ask("POST", "reports", {"name": "x", "reason": "y" * 300_000}))[0] == 413
    for kind in ("text/plain", ""):  # nobody has shown a token yet
        body = server.client.post("/api/v1/uploads", content=bytes(300_000), headers={"Content-Type": kind})
        assert problem(body)[0] == 413
    long = server.client.post("/api/v1/reports", content=b"{}", headers={"Content-Length": "9" * 30})
    assert problem(long)[0] == 413


@pytest.mark.attack(78)
@pytest.mark.parametrize(("pieces", "end", "status"), [(0, "drips", 408), (3, "drips", 408), (1, "is cut off", 400)])
def test_a_body_that_drips_or_is_cut_off_is_ended(pieces: int, end: str, status: int) -> None:
    """The application is called as a server calls it: a test client has no slow bodies."""
    from starlette.exceptions import HTTPException

    seen: list[int] = []

    async def app(scope: Any, receive: Callable[[], Any], send: Any) -> None:
        with pytest.raises(HTTPException) as error:
            while (await receive()).get("more_body"):
                pass
        seen.append(error.value.status_code)

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        if pieces == 0 and end == "drips":
            await asyncio.sleep(9)
        elif pieces == 0:
            return {"type": "http.disconnect"}
        pieces -= 1
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        pass

    scope: dict[str, Any] = {
        "type": "http",
        "method": "PUT",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "client": None,
    }
    asyncio.run(Edge(app, seconds=0.05, largest=1 << 20, answered=lambda *_: None)(scope, receive, send))
    assert seen == [status]


def test_a_request_for_the_server_as_a_whole_has_an_answer(server: Server) -> None:
    """As in ``OPTIONS *``, whose target is no path (RFC 9112, 3.2.4)."""
    seen: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        seen.extend([message["status"]] if "status" in message else [])

    whole: dict[str, Any] = {"type": "http", "path": "*", "query_string": b"", "headers": [], "client": None}
    for method in ("OPTIONS", "HEAD"):
        asyncio.run(server.client.app({**whole, "method": method}, receive, send))  # type: ignore[arg-type]
    assert seen == [404, 404]


def test_bad_documents_get_a_stable_error_that_repeats_no_secret(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.owner.token}", "Content-Type": "application/json"}
    for body in (
        b"",
        b"[",
        b"[]",
        b'{"name": 1}',
        b"\xff\xfe",
        b'{"a":' * 9000,
        b'{"name":' + b"[" * 3000 + b"]" * 3000 + b"}",
    ):
        answer = server.client.post("/api/v1/uploads", content=body, headers=headers)
        assert problem(answer) in ((422, "invalid"), (400, "bad-request")), body[:20]
        detail = answer.json()["detail"]
        assert ("``" not in detail) and (body not in (b"", b"[", b"[]") or "must be a JSON object" in detail), body[:20]
    typed = server.client.post("/api/v1/uploads", content=b"{}", headers={**headers, "Content-Type": "text/plain"})
    assert "`Content-Type: application/json`" in typed.json()["detail"]
    told = server.owner.ask("POST", "reports", {"name": "demo", "reason": "x" * 5000}).json()["detail"]
    assert told == "`reason`: has more than 4000 characters"
    answer = server.owner.ask("POST", "tokens", {"label": "x", "secret": server.owner.token})
    assert server.owner.token not in answer.text


def test_no_text_of_a_request_changes_a_terminal(server: Server) -> None:
    server.owner.publish(DEMO)
    for text in ("a\0b", "\x1b[2J", "a\rb", "\x9b31m"):
        for method, path, document in (
            ("POST", "releases/yank", {"name": "demo", "version": "1.0", "reason": text}),
            ("POST", "skills/status", {"name": "demo", "status": "archived", "reason": text}),
            ("POST", "reports", {"name": "demo", "reason": "x", "findings": [{"rule": text}]}),
            ("POST", "tokens", {"label": text}),
            ("POST", "trusted-publishers", {"scope": "demo", "issuer": "https://ci.example", "claims": {"sub": text}}),
        ):
            assert problem(server.owner.ask(method, path, document)) == (422, "invalid"), (path, text)
    assert server.owner.ask("POST", "reports", {"name": "demo", "reason": "two\n\tlines"}).status_code == 201


def test_a_defect_says_nothing_of_itself(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    monkeypatch.setattr(type(server.services.registry), "page", lambda *_: 1 / 0)
    client = TestClient(server.client.app, raise_server_exceptions=False)
    answer = client.post("/api/v1/reports", json={"name": "demo", "reason": "x"})
    assert problem(answer) == (500, "defect")
    assert "division" not in answer.text


@pytest.mark.attack(82)
def test_no_address_in_an_answer_comes_from_the_request(server: Server) -> None:
    server.owner.publish(DEMO)
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    for path in (
        "/",
        "/config.json",
        "/skills/demo",
        "/skills/demo.json",
        "/search.json?q=demo",
        "/nothing",
        "/api/v1/openapi.json",
    ):
        answer = server.client.get(path, headers=evil, follow_redirects=False)
        assert "evil.example" not in answer.text + str(dict(answer.headers)), path

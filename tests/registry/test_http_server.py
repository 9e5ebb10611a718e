"""A client that makes no progress keeps no connection: neither before its request nor after it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from skillpm.index.folder_registry import make_registry
from skillpm_registry import http_server
from tests.registry.conftest import free_socket, listening, serving

SECONDS = 0.5
LARGE = 32 << 20  # bytes, more than the system keeps for a connection
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of a server that waits for half a second, and has a large file."""
    folder = tmp_path_factory.mktemp("server") / "registry"
    make_registry(folder, "team")
    (folder / "log").mkdir()
    (folder / "log/large").write_bytes(bytes(LARGE))
    with pytest.MonkeyPatch.context() as patch, listening(folder) as url:
        patch.setattr(http_server, "SECONDS", SECONDS)
        yield urlsplit(url).hostname or "", urlsplit(url).port or 0


@pytest.mark.attack(78)
@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nX-A: ", WHOLE, WHOLE + WHOLE + b"GET /"])
def test_headers_that_drip_are_ended(address: tuple[str, int], before: bytes) -> None:
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(before)
        connection.settimeout(SECONDS / 10)
        begin = time.monotonic()
        with pytest.raises(OSError, match=r"reset|closed|Broken"):
            while time.monotonic() < begin + 20 * SECONDS:
                try:
                    connection.sendall(b"G")
                    if not connection.recv(1 << 16):
                        raise ConnectionResetError("closed")
                except TimeoutError:
                    continue


@pytest.mark.attack(78)
@pytest.mark.parametrize("before", [b"GET /healthz HTTP/1.1\r\n", b"GET /", WHOLE + b"GET /"])
def test_headers_without_end_are_refused(address: tuple[str, int], before: bytes) -> None:
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(before)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < LARGE:
                sent += connection.send(b"x: y\r\n" * 1000 if before.endswith(b"\n") else b"a" * 6000)
    assert sent < LARGE


@pytest.mark.attack(78)
def test_an_answer_that_nobody_reads_is_ended(address: tuple[str, int]) -> None:
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(b"GET /log/large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(4 * SECONDS)
        received = 0
        while piece := connection.recv(1 << 20):
            received += len(piece)
        assert received < LARGE


def test_a_client_that_makes_progress_has_all_the_time(address: tuple[str, int]) -> None:
    with closing(HTTPConnection(*address)) as connection:
        for _ in range(4):
            connection.request("GET", "/healthz")
            assert b"ok" in connection.getresponse().read()
            time.sleep(SECONDS)
        connection.request("GET", "/log/large")
        answer, count = connection.getresponse(), 0
        while piece := answer.read(1 << 20):
            count += len(piece)
            time.sleep(SECONDS / 20)
        assert count == LARGE


def test_an_answer_in_one_piece_may_be_read_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(bytes(LARGE))(scope, receive, send)

    monkeypatch.setattr(http_server, "SECONDS", SECONDS)
    with (
        free_socket() as listener,
        serving(answer, listener),
        closing(socket.create_connection(listener.getsockname())) as connection,
    ):
        connection.sendall(WHOLE)
        begin, count = time.monotonic(), 0
        while count < LARGE and (piece := connection.recv(LARGE // 64)):
            count += len(piece)
            time.sleep(SECONDS / 16)
    assert count >= LARGE
    assert time.monotonic() > begin + 2 * SECONDS


def test_a_body_is_not_taken_for_headers(address: tuple[str, int]) -> None:
    with closing(HTTPConnection(*address)) as connection:
        for _ in range(2):
            connection.request("POST", "/api/v1/reports", bytes(200_000))
            assert connection.getresponse().read().startswith(b'{"type"')

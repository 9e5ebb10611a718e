"""A real HTTP server in a thread, which can be told to misbehave, and real git repositories."""

from __future__ import annotations

import email.utils
import hashlib
import http.server
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

Answer = Callable[["Handler"], bool]
S = TypeVar("S", bound=http.server.HTTPServer)


class Replying(http.server.BaseHTTPRequestHandler):
    """Answers in one call, and writes no log."""

    def reply(self, status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> None:
        """Send an answer; ``length`` may promise more than the body has, and then the connection ends."""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if status != 304:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)
        if length is not None and length != len(body):
            self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class Handler(Replying):
    """Serves a folder with ETags, 304 and ranges, unless the server's ``answers`` say otherwise for a path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Shop

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers.items())))
        answer = self.server.answers.get(self.path)
        if answer is None or not answer(self):
            self.serve()

    def serve(self) -> None:
        """Answer from the folder."""
        path = self.server.root / self.path.lstrip("/")
        if not path.is_file():
            self.reply(404, b"nothing here")
            return
        data = path.read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        wanted = self.headers.get("Range", "")
        if self.headers.get("If-None-Match") == etag:
            self.reply(304, ETag=etag)
        elif wanted and self.headers.get("If-Range") == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            place = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.reply(206, data[start:], ETag=etag, Content_Range=place)
        else:
            self.reply(200, data, ETag=etag)


def answering(status: int, body: bytes = b"", **headers: Any) -> Answer:
    """Return what answers so."""

    def answer(handler: Handler) -> bool:
        handler.reply(status, body, **headers)
        return True

    return answer


class Shop(http.server.ThreadingHTTPServer):
    """A folder behind a URL.

    Attributes:
        seen: (path, headers) of every request.
        answers: what a path answers instead; False lets it be served.
    """

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, root: Path, *, tls: bool = False) -> None:
        self.root = root
        self.tls = tls
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Answer] = {}
        super().__init__(("127.0.0.1", 0), Handler)
        if tls:
            self.socket = _certified(root.parent).wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what many tests are about."""

    @property
    def url(self) -> str:
        """Its address, without the slash at the end."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.server_port}"

    def asked(self, path: str) -> int:
        """How often was a path asked for?"""
        return sum(1 for item, _ in self.seen if item == path)


def _certified(folder: Path) -> ssl.SSLContext:
    """Make a certificate that nobody vouches for; skips the test where there is no openssl."""
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2", *files],
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("no openssl on this machine")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@contextmanager
def serving(root: Path, *, tls: bool = False) -> Iterator[Shop]:
    """Serve a folder while the context lasts, by https where ``tls``."""
    with running(Shop(root, tls=tls)) as shop:
        yield shop


@contextmanager
def served(handler: type[Replying]) -> Iterator[str]:
    """Have a handler answer while the context lasts; yield the address."""
    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def running(server: S) -> Iterator[S]:
    """Let a server answer in a thread of its own while the context lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def in_the_future(seconds: float) -> str:
    """Return an HTTP date."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def git(folder: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run git as nobody in particular, with nobody's configuration."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit_all(folder: Path, message: str = "more") -> str:
    """Commit everything in a folder, made a repository where it is none; return the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")

"""What holds for every request, before any route: its number, its line in the log, and the limits of its body.

A line of the log is one JSON object on stderr: no query, no header, no body, and no secret that somebody put into an
address. A token in an address is refused, because addresses end in logs and histories.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skillpm.index.pages import MAX_ARCHIVE
from skillpm_registry.identity import PREFIX
from skillpm_registry.problems import ApiError, of_ours
from skillpm_registry.static_files import SERVED, RegistryFiles

_NUMBER = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_SECRET = re.compile(rf"{PREFIX}[\w%.-]*")
_UPLOAD = re.compile(r"/api/v1/uploads/\w+/archive")  # it compares the body with the size that was announced
_FILES = re.compile(r"/clawhub/api/v1/skills/-/files/\w+|/apm/v1/packages/[^/]+/[^/]+/versions/[^/]+")
_PACE = 1 << 19  # bytes of an archive in a second
_DOCUMENT = 256 << 10  # bytes of any other body: it is in memory before anybody asks whose it is
_SINGLE = (b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"range")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip
_ENCODER = json.JSONEncoder(default=str)  # json.dumps would make one for each line
_log = logging.getLogger("skillpm_registry")


class Edge:
    """The outermost part of the application.

    Args:
        app: what is inside.
        seconds: that a body may take, and an archive a second more for each of ``_PACE`` bytes.
        largest: bytes of an archive.
        answered: is called with the scope, the status, the bytes and the seconds of each answer.
        files: the static files, which answer most requests without what is inside.
    """

    def __init__(
        self,
        app: ASGIApp,
        seconds: float,
        largest: int,
        answered: Callable[[Scope, int, int, float], None],
        files: RegistryFiles | None = None,
    ) -> None:
        self._app = app
        self._files = files
        self._largest = largest
        self._seconds = seconds
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        asked = headers.get(b"x-request-id", b"")
        number = asked.decode() if _NUMBER.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["number"] = number
        begin, status, size = time.monotonic(), 500, 0
        # routes know GET alone; the static files answer HEAD themselves, without reading a file
        as_get = scope["method"] == "HEAD" and scope["path"][1:].partition("/")[0] not in SERVED
        inner = {**scope, "method": "GET"} if as_get else scope

        async def answer(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode()), *_HEADERS]
            else:
                message = {**message, "body": b""} if as_get else message
                size += len(message.get("body", b""))
            await send(message)

        try:
            if (refused := _refusal(scope, len(headers))) is not None:
                await (await of_ours(Request(scope), refused))(scope, receive, answer)
            elif self._files is not None and (found := self._files.at_once(scope)) is not None:
                code, told, body = found
                await answer({"type": "http.response.start", "status": code, "headers": told})
                await answer({"type": "http.response.body", "body": body})
            else:
                await self._app(inner, self._limited(scope, receive), answer)
        finally:
            seconds = time.monotonic() - begin
            self._answered(inner, status, size, seconds)
            line = {
                "request": number, "method": scope["method"], "path": _SECRET.sub(f"{PREFIX}…", scope["path"])[:400],
                "status": status, "bytes": size, "ms": round(seconds * 1000, 1),
                "client": (scope.get("client") or ("",))[0], "account": scope["state"].get("account", ""),
            }  # fmt: skip
            _log.info("request", extra=line)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Return a ``receive`` that ends a body which is too large (413), too slow (408) or cut off (400)."""
        headers = dict(scope["headers"])
        is_archive, is_file = (pattern.fullmatch(scope["path"]) is not None for pattern in (_UPLOAD, _FILES))
        limit = self._largest if is_archive else MAX_ARCHIVE if is_file else _DOCUMENT
        announced = headers.get(b"content-length", b"0")
        more = int(announced[:18]) / _PACE if is_archive and announced.isdigit() else 0.0
        size, end, whole = 0, time.monotonic() + self._seconds + more, False

        async def limited() -> Message:
            nonlocal size, whole
            if whole:  # what waits for the end of the connection has all the time
                return await receive()
            if not announced.isdigit() or int(announced[:18]) > limit:
                raise HTTPException(413, f"the body of this request has at most {limit} bytes")
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body of this request came too slowly") from None
            if message["type"] == "http.disconnect":
                raise HTTPException(400, "the client left before the end of its body")
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > limit:
                raise HTTPException(413, f"the body of this request has at most {limit} bytes")
            return message

        return limited


def _refusal(scope: Scope, names: int) -> ApiError | None:
    """Return why a request is refused unread: a token in its address, or a header twice whose values may contradict.

    ``names`` is how many different headers it has.
    """
    if PREFIX in scope["path"] or PREFIX.encode() in unquote_to_bytes(scope["query_string"]):
        return ApiError(
            400, "token-in-address", "the address contains a token, and logs would store it",
            "revoke that token, and send a new one in the Authorization header",
        )  # fmt: skip
    counts = Counter(name for name, _ in scope["headers"]) if names < len(scope["headers"]) else {}
    twice = next((name.decode().title() for name in _SINGLE if counts.get(name, 0) > 1), None)
    return ApiError(400, "ambiguous", f"the request has two {twice} headers", "send one of them") if twice else None


class _Lines(logging.Formatter):
    """One JSON object a line."""

    _PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {"time": round(record.created, 3), "level": record.levelname.lower()}
        line["message"] = record.getMessage()
        line |= {key: value for key, value in record.__dict__.items() if key not in self._PLAIN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _SECRET.sub(f"{PREFIX}…", _ENCODER.encode(line))


def log_lines() -> None:
    """Send the log of the server and of uvicorn to stderr, as JSON lines.

    They have no thread, process or line of code, which would cost as much as the rest of a line (source: the manual of
    ``logging``, "Optimization").
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name in ("skillpm_registry", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "skillpm_registry" else logging.WARNING)

"""An HTTP server for this machine: what it accepts of a request, and where it listens.

A page of the web cannot call its applications: they answer to local host names, local origins and JSON alone, or to
whoever knows a token. The libraries are starlette and uvicorn.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from skillpm.errors import UsageError

_WAITING = 2048  # connections, as uvicorn has it
_PATIENCE = 3  # seconds that open streams have to end when the server does
_SINGLE = ("authorization", "host", "origin", "content-type")
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


class RefusedError(Exception):
    """What a client did wrong, or what cannot be answered, with the status of the answer."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"error": {"message": message, "type": "invalid_request_error", **more}}


@dataclass(frozen=True, slots=True)
class Guarded:
    """An application that answers to programs and pages of this machine, or to programs that know a token.

    Attributes:
        token: whoever knows it may call the server by any name, but no page does; empty for this machine alone.
    """

    application: ASGIApp
    token: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        refused = self._refused(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refused or self.application)(scope, receive, send)

    def _refused(self, headers: Headers) -> Response | None:
        """Return why a request is refused; None if it is not."""
        for name in _SINGLE:
            if len(headers.getlist(name)) > 1:
                return Response(f"the request has two {name.title()} headers", 400)
        origin = headers.get("origin")
        if self.token:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.token.encode()):
                return Response("the token is missing or wrong", 401, {"WWW-Authenticate": "Bearer"})
            return None if origin is None else Response("a page in a browser may not ask", 403)
        if not _LOCAL.fullmatch(headers.get("host", "")):
            return Response("this server has another name", 421)
        if origin is not None and not _LOCAL.fullmatch(re.sub("^https?://", "", origin)):
            return Response("a page of another machine may not ask", 403)
        return None


def local_application(routes: Sequence[BaseRoute]) -> Starlette:
    """Return an application of these routes for this machine alone."""
    return Starlette(routes=routes, middleware=[Middleware(Guarded)])


def listen(application: ASGIApp, port: int, ready: Callable[[], None], host: str = "127.0.0.1") -> None:
    """Serve until the process is told to end; ``ready`` is called once clients can connect.

    Raises:
        UsageError: the port is taken, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        place = f"port {port}" if host == "127.0.0.1" else f"port {port} of {host}"
        raise UsageError(f"{place} cannot be used: {error.strerror}", hint="choose another `--port`") from None
    with listener:
        ready()
        configuration = uvicorn.Config(
            application, log_level="warning", access_log=False, timeout_graceful_shutdown=_PATIENCE
        )
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        try:
            uvicorn.Server(configuration).run(sockets=[listener])
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the server has ended") from None


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Is a record worth showing? A request that the end of the server cuts off is no failure of the server."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


async def read_object(request: Request, most: int) -> dict[str, Any]:
    """Return the JSON object of a request of at most ``most`` bytes. Raises RefusedError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "the request is not application/json")
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            raise RefusedError(413, f"the request has more than {most} bytes")
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the request is not JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "the request is not a JSON object")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

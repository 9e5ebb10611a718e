"""An HTTP server for this machine alone: what it accepts of a request, and where it listens.

A page in a browser cannot call it: it answers to local host names and to JSON alone. The libraries are starlette and
uvicorn.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any, NoReturn

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute

from skillpm.errors import UsageError

_LOCAL = ["127.0.0.1", "localhost", "[::1]"]


class RefusedError(Exception):
    """What a client did wrong, or what cannot be answered, with the status of the answer."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"error": {"message": message, "type": "invalid_request_error", **more}}


def local_application(routes: Sequence[BaseRoute]) -> Starlette:
    """Return an application of these routes for local host names."""
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL)])


def listen(application: Starlette, port: int) -> None:
    """Serve on this machine until the process is told to end. Raises UsageError where the port is taken."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"port {port} cannot be used: {error.strerror}", hint="choose another `--port`") from None
        uvicorn.Server(uvicorn.Config(application, log_level="warning", access_log=False)).run(sockets=[listener])


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

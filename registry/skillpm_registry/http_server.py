"""The HTTP server, which closes a connection whose client makes no progress, or sends headers without end.

uvicorn waits without end for the headers of a request, and for a client that does not read its answer. A thousand such
connections would keep everybody else out. Its faster parser takes headers of any size, which fill the memory. The body
of a request has limits of its own: see ``edge.py``.
"""

from __future__ import annotations

import asyncio
import math

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

SECONDS = 20.0  # in which the headers of a request are to come, and in which a client is to read some of an answer
HEADERS = 64 << 10  # bytes of the headers of a request that are not complete
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class TimedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """One connection. The attributes without an underscore are those of uvicorn's two protocols."""

    _headers: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _size = 0  # bytes of headers that are not complete

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for the headers of the first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # else uvicorn's buffer hides that a client does not read
        self._headers = self._abort_later()

    def data_received(self, data: bytes) -> None:
        """Take some bytes. The headers of a later request have the same limits as those of the first one."""
        before = self.cycle
        is_body = before is not None and before.more_body
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _cancel(self._headers)
            self._headers = None
        elif self._headers is None:
            self._headers = self._abort_later()
        self._size = 0 if is_body or self.cycle is not before else self._size + len(data)
        if self._size > HEADERS and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def pause_writing(self) -> None:
        """Wait until the client reads."""
        super().pause_writing()
        self._abort_unless_read()

    def resume_writing(self) -> None:
        """Go on, because the client has read what was sent."""
        _cancel(self._reading)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        _cancel(self._headers)
        _cancel(self._reading)
        super().connection_lost(exc)

    def _abort_unless_read(self, before: float = math.inf) -> None:
        """Abort if the client has read nothing since ``before`` bytes were left; else look again later.

        An answer may be one piece of many megabytes, which a slow client reads in more than the time for one look.
        """
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._reading = self.loop.call_later(SECONDS, self._abort_unless_read, left)
        else:
            self.transport.abort()

    def _abort_later(self) -> asyncio.TimerHandle:
        timer: asyncio.TimerHandle = self.loop.call_later(SECONDS, self.transport.abort)
        return timer


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def http_server(app: ASGIApp, proxies: str = "") -> uvicorn.Server:
    """Return a server for an application; ``proxies`` are the addresses whose X-Forwarded-For is believed."""
    configuration = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=30,
        limit_concurrency=1000,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
    )
    return uvicorn.Server(configuration)

"""Connections that end where an answer's headers take too long: a time-out between two bytes never ends a slow drip."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import urllib3


def watched_pools(whole: float) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, which shut a connection if an answer's headers take over ``whole`` seconds."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        def getresponse(self) -> Any:
            with _shut_after(whole, self):
                return super().getresponse()

    class Secure(HTTPSConnection):
        def getresponse(self) -> Any:
            with _shut_after(whole, self):
                return super().getresponse()

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


@contextlib.contextmanager
def _shut_after(seconds: float, connection: Any) -> Any:
    """Shut the socket of a connection unless the block ends in time; whoever reads from it sees its end.

    Raises:
        TimeoutError: the block did not. An end within the headers would else be taken for their end.
    """
    late = threading.Event()

    def shut() -> None:
        late.set()
        with contextlib.suppress(OSError):  # of the plain socket: a TLS one would forget its session while it is read
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            raise TimeoutError("the headers took too long")

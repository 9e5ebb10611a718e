"""One request over a connection of urllib3: pools, proxies of the environment, a limit of time, what failures mean.

urllib3 provides connections and TLS. Its own redirects and retries are switched off: ``transport`` has these rules.
A time-out between two bytes never ends a slow drip of headers, so a connection is shut where these take too long.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from skillpm.errors import RegistryError

if TYPE_CHECKING:
    import urllib3

CONNECTIONS = 8  # to one host at once


class CutError(Exception):
    """The connection failed or ended early; another try may help. ``refused`` says that nobody listens there."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class Connections:
    """The connections of one invocation; threads may share it.

    Args:
        connect: seconds until there is a connection.
        idle: seconds between two pieces of an answer.
        whole: seconds until the headers of an answer are there.
        environment: has the proxies; by default that of the process.
    """

    def __init__(self, connect: float, idle: float, whole: float, environment: Mapping[str, str] | None = None) -> None:
        self._connect = connect
        self._idle = idle
        self._whole = whole
        self._environment = os.environ if environment is None else environment
        self._lock = threading.Lock()
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    @contextmanager
    def opened(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: bytes | Iterator[bytes] | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send one request and yield its answer, body unread.

        Raises:
            CutError: the network failed; another try may help.
            RegistryError: the address or its certificate is wrong, or the headers did not come in time.
        """
        import urllib3

        response: urllib3.BaseHTTPResponse | None = None
        begin, proxy = time.monotonic(), proxy_for(url, self._environment)
        pool = self._pool(proxy)
        try:
            response = pool.request(
                method, url, body=body, headers=headers, preload_content=False, redirect=False, retries=False
            )
            yield response
        except (urllib3.exceptions.SSLError, urllib3.exceptions.LocationValueError) as error:
            _refuse_late(url, begin, self._whole, response)
            raise RegistryError(
                f"{url}: {_failure_reason(error)}", hint="check the address, its certificate, and this machine's clock"
            ) from None
        except urllib3.exceptions.HTTPError as error:
            _refuse_late(url, begin, self._whole, response)
            refused = isinstance(error, urllib3.exceptions.NewConnectionError)
            through = f"{_named(proxy)}: " if proxy else ""
            raise CutError(through + _failure_reason(error), refused=refused) from None
        finally:
            if response is not None:
                _release(response)

    def _pool(self, proxy: str | None) -> urllib3.PoolManager:
        """Return the connections through a proxy, or without one. Raises RegistryError for a proxy of another kind."""
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._new_pool(proxy)
            return self._pools[proxy]

    def _new_pool(self, proxy: str | None) -> urllib3.PoolManager:
        import urllib3

        timeout = urllib3.Timeout(connect=self._connect, read=self._idle)
        if proxy is None:
            manager = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=timeout)
        else:
            try:
                address = urllib3.util.parse_url(proxy)
                if not address.host:
                    raise urllib3.exceptions.LocationValueError(proxy)
                login = address.auth
                secret = b64encode(unquote_to_bytes(login or "")).decode()
                headers = {"proxy-authorization": f"Basic {secret}"} if login else None
                manager = urllib3.ProxyManager(proxy, maxsize=CONNECTIONS, timeout=timeout, proxy_headers=headers)
            except urllib3.exceptions.LocationValueError:
                raise RegistryError(
                    f"{_named(proxy)} cannot be used",
                    hint="set `http_proxy` and `https_proxy` to http://HOST:PORT, or `no_proxy` to hosts without one",
                ) from None
        manager.pool_classes_by_scheme = watched_pools(self._whole)
        return manager


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy for a URL's host from the usual environment variables; one without a scheme speaks HTTP."""
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    names = (name, name.upper(), "all_proxy", "ALL_PROXY")
    proxy = next((environment[name] for name in names if environment.get(name)), None)
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if proxy is None or any(_is_exempt(parts, item) for item in exempt.replace(",", " ").split()):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_exempt(parts: SplitResult, item: str) -> bool:
    """Does an item of ``no_proxy`` name a URL's host: a domain, a host with a port, or a network such as 10.0.0.0/8?"""
    host = parts.hostname or ""
    if "/" in item:
        with contextlib.suppress(ValueError):
            import ipaddress

            return ipaddress.ip_address(host) in ipaddress.ip_network(item, strict=False)
        return False
    item = item.lower().lstrip(".")
    return item in ("*", host, f"[{host}]", parts.netloc.rpartition("@")[2].lower()) or host.endswith(f".{item}")


def _named(proxy: str) -> str:
    """Return what a person is told of a proxy's address: a login is left out."""
    place = proxy.partition("://")[2].rpartition("@")[2].partition("/")[0]
    return f"the proxy {place} of the environment" if place else "the proxy of the environment, which names no host,"


def _refuse_late(url: str, begin: float, whole: float, response: object) -> None:
    """Raise RegistryError if the headers of an answer did not come in time: another try would take as long."""
    if response is None and time.monotonic() - begin >= whole:
        raise too_slow(url, whole) from None


def too_slow(url: str, whole: float) -> RegistryError:
    """Return the error for an answer that takes longer than so many seconds."""
    return RegistryError(f"{url} took more than {whole:.0f} seconds", hint="try again, or use a nearer server")


def _release(response: urllib3.BaseHTTPResponse) -> None:
    """Return the connection to its pool, or close it if it still has a part of the answer."""
    if response.length_remaining == 0:
        response.read()
        response.release_conn()
    else:
        response.close()


def _failure_reason(error: Exception) -> str:
    """Return the innermost cause as text."""
    inner: BaseException = error
    while (deeper := getattr(inner, "reason", None) or inner.__cause__) and isinstance(deeper, BaseException):
        inner = deeper
    if tls := _TLS.search(str(inner)):
        return "the server does not speak TLS" if tls[1] == "WRONG_VERSION_NUMBER" else tls[2]
    strerror = getattr(inner, "strerror", None)
    reason = strerror or str(inner).partition(": ")[2]
    return reason or next((words for kind, words in _WORDS if isinstance(inner, kind)), "the connection failed")


_TLS = re.compile(r"\[SSL: (\w+)\] (.+?)(?: \(_ssl\.c:\d+\))?\Z")  # OpenSSL's code and words, and a place in Python
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (http.client.IncompleteRead, "the answer ended early"),
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    (http.client.HTTPException, "the answer is not HTTP"),
    (ConnectionError, "the connection was closed"),
)


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

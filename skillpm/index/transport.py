"""GET over HTTP(S), as a package manager needs it: bounded in bytes, time, waits and redirects; cut downloads resumed.

urllib3 gives connections, TLS and proxies; what it would follow, retry or send by itself is switched off, so that the
rules stand here. Sources: RFC 9110 (conditional and range requests, Retry-After), RFC 9112.
"""

from __future__ import annotations

import email.utils
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from skillpm.errors import RegistryError
from skillpm.index.credentials import Credentials, is_local

if TYPE_CHECKING:
    import urllib3

CONNECTIONS = 8  # to one host at once


_CHUNK = 1 << 16  # bytes


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, and how often a server is waited for."""

    connect: float = 10.0
    idle: float = 20.0  # between two pieces of an answer
    whole: float = 180.0  # of one answer
    asked: float = 30.0  # what a Retry-After may ask for at most
    tries: int = 4
    redirects: int = 5
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: 200 with a body, 304, 404 or 410 without one; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def missing(self) -> bool:
        """Is there no such thing?"""
        return self.status in (404, 410)


@dataclass(slots=True)
class _Partial:
    """The piece of a body that has come so far, and the ETag under which it may be continued."""

    resumable: bool = False
    data: bytearray = field(default_factory=bytearray)
    etag: str | None = None


class _CutError(Exception):
    """The connection failed, or ended early; asking again may help."""


class Transport:
    """One invocation's connections; threads may share it.

    Args:
        credentials: whose secrets are sent, each to its own host.
        offline: refuse to ask anybody.
        patience: how long and how often.
        environment: where proxies are looked up.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        offline: bool = False,
        patience: Patience | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.offline = offline
        self._credentials = credentials or Credentials()
        self._patience = patience or Patience()
        self._environment = os.environ if environment is None else environment
        self._lock = threading.Lock()
        self._silent: dict[str, RegistryError] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ask nobody any more, and end what other threads are receiving: the work has failed, or nobody wants it."""
        self._stopped.set()

    def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a document.

        Args:
            url: http or https.
            limit: how many bytes, decoded, the body may have.
            headers: further ones, such as If-None-Match.

        Raises:
            RegistryError: no answer, an answer that is an error, or more bytes than ``limit``.
        """
        partial = _Partial()
        return self._persist(
            url, lambda: self._once(url, limit, {"Accept-Encoding": "gzip", **(headers or {})}, partial)
        )

    def download(self, url: str, *, limit: int, size: int = 0) -> bytes:
        """Return an archive's bytes; what was cut is continued where the ETag is still the same, else begun anew.

        Args:
            url: http or https.
            limit: how many bytes are taken at most.
            size: how many bytes there must be, 0 where that is not known.

        Raises:
            RegistryError: as ``get``; also for 404, and for a body that is not ``size`` bytes long.
        """
        partial = _Partial(resumable=True)

        def once() -> Answer:
            headers = {"Accept-Encoding": "identity"}
            if partial.data and partial.etag:
                headers |= {"Range": f"bytes={len(partial.data)}-", "If-Range": partial.etag}
            else:
                partial.data.clear()
            return self._once(url, min(limit, size or limit), headers, partial)

        answer = self._persist(url, once)
        if answer.status != 200:
            raise RegistryError(f"{url} is not there: the server answers {answer.status}", hint=_KEEPER)
        if size and len(answer.body) != size:
            raise RegistryError(f"{url} has {len(answer.body)} bytes, the registry's page says {size}", hint=_KEEPER)
        return answer.body

    def _persist(self, url: str, once: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer, with growing pauses, as often as patience allows."""
        if self.offline:
            raise RegistryError(f"{url} is needed, and `--offline` asks nobody", hint="run it once without `--offline`")
        host = urlsplit(url).netloc
        for turn in range(self._patience.tries):
            if self._stopped.is_set():
                raise _stopped(url)
            if host in self._silent:  # one thread has waited for all
                raise self._silent[host]
            try:
                return once()
            except _CutError as cut:
                reason = str(cut)
            if turn + 1 < self._patience.tries:
                self._patience.sleep(0.2 * 2**turn * (0.5 + random.random()))
        error = RegistryError(
            f"{host} cannot be used: {reason}",
            hint="check the address and the network; skills that are locked and stored install without it",
            url=url,
        )
        self._silent.setdefault(host, error)
        raise error

    def _once(self, url: str, limit: int, headers: Mapping[str, str], partial: _Partial) -> Answer:
        place = url
        for _ in range(self._patience.redirects + 1):
            with self._opened(place, headers) as response:
                if response.status not in _REDIRECTS:
                    return self._answer(url, response, limit, partial)
                place = followed(place, response.headers.get("Location"))
        raise RegistryError(f"{url} leads to more than {self._patience.redirects} other addresses", hint=_KEEPER)

    def _answer(self, url: str, response: urllib3.BaseHTTPResponse, limit: int, partial: _Partial) -> Answer:
        status, headers = response.status, {key.lower(): value for key, value in response.headers.items()}
        if status in _BUSY:
            self._wait_as_asked(url, status, headers.get("retry-after"))
        if status in (404, 410):
            with suppress(RegistryError):  # its page is of no interest, but the connection behind it is
                self._receive(url, response, _CHUNK, _Partial())
        if status in (304, 404, 410):
            return Answer(status, headers)
        if status in (401, 403, 407):
            raise _denied(url, status)
        if status == 416 or (status == 206 and not _continues(headers, partial)):
            partial.data.clear()
            raise _CutError("it does not continue where the download was cut")
        if status not in (200, 206):
            raise RegistryError(f"{url}: the server answers {status}", hint=_KEEPER)
        if status == 200:
            partial.data.clear()
            partial.etag = _strong(headers.get("etag"))
        self._receive(url, response, limit, partial)
        return Answer(200, headers, bytes(partial.data))

    def _receive(self, url: str, response: urllib3.BaseHTTPResponse, limit: int, partial: _Partial) -> None:
        """Append the body to what is there, refusing it as soon as it is, or says that it will be, too large."""
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and len(partial.data) + int(announced[:18]) > limit:
            raise _too_large(url, limit)
        end = time.monotonic() + self._patience.whole
        # an archive is taken as it lies there: some servers call a .tar.gz an encoded tar
        while piece := response.read1(_CHUNK, decode_content=not partial.resumable):
            partial.data += piece
            if len(partial.data) > limit:
                raise _too_large(url, limit)
            if self._stopped.is_set():
                raise _stopped(url)
            if time.monotonic() > end:
                raise RegistryError(
                    f"{url} took more than {self._patience.whole:.0f} seconds", hint="try again, or use a mirror"
                )

    def _wait_as_asked(self, url: str, status: int, text: str | None) -> None:
        """Wait as long as Retry-After asks, where that is bearable, then have the question asked again."""
        seconds = _retry_after(text)
        if seconds > self._patience.asked:
            raise RegistryError(
                f"{url}: the server answers {status} and asks to come back in {seconds:.0f} seconds",
                hint="try again then; skills that are locked and stored install without it",
            )
        if seconds > 0:
            self._patience.sleep(seconds)
        raise _CutError(f"it answers {status}")

    @contextmanager
    def _opened(self, url: str, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send one GET and give its answer, body unread; failures of the network become a ``_CutError``."""
        import urllib3

        secret = self._credentials.header(url)
        sent = {"User-Agent": "skillpm", **headers, **({"Authorization": secret} if secret else {})}
        response: urllib3.BaseHTTPResponse | None = None
        try:
            response = self._pool(url).request(
                "GET", url, headers=sent, preload_content=False, redirect=False, retries=False
            )
            yield response
        except (urllib3.exceptions.SSLError, urllib3.exceptions.LocationValueError) as error:
            raise RegistryError(
                f"{url}: {_reason(error)}", hint="check the address, its certificate, and this machine's clock"
            ) from None
        except urllib3.exceptions.HTTPError as error:
            raise _CutError(_reason(error)) from None
        finally:
            if response is not None:
                _let_go(response)

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = self._proxy(urlsplit(url).scheme, urlsplit(url).hostname or "")
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._made(proxy)
            return self._pools[proxy]

    @cached_property
    def _pools(self) -> dict[str | None, urllib3.PoolManager]:
        return {}

    def _made(self, proxy: str | None) -> urllib3.PoolManager:
        import urllib3

        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.idle)
        if proxy is None:
            return urllib3.PoolManager(maxsize=CONNECTIONS, timeout=timeout)
        return urllib3.ProxyManager(proxy, maxsize=CONNECTIONS, timeout=timeout)

    def _proxy(self, scheme: str, host: str) -> str | None:
        """Return the proxy that the usual environment variables name for a host."""
        names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
        proxy = next((self._environment[name] for name in names if self._environment.get(name)), None)
        if proxy is None:
            return None
        exempt = self._environment.get("no_proxy") or self._environment.get("NO_PROXY") or ""
        for item in exempt.replace(",", " ").split():
            if item == "*" or host == item.lstrip(".") or host.endswith(f".{item.lstrip('.')}"):
                return None
        return proxy


def _let_go(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back, or close it where the rest of an answer still stands in it."""
    if response.length_remaining == 0:
        response.read()
        response.release_conn()
    else:
        response.close()


def followed(place: str, location: str | None) -> str:
    """Return where a redirect, or an address in a document, leads.

    Raises:
        RegistryError: to something else than http(s), from https to http, or from a public host into a private network.
    """
    target = _joined(place, location or "")
    old, new = urlsplit(place), urlsplit(target)
    problem = None
    if not location or new.scheme not in ("http", "https") or not new.hostname or new.username is not None:
        problem = "is no address that can be followed"
    elif old.scheme == "https" and new.scheme == "http":
        problem = "would leave https for http"
    elif is_local(new.hostname) and not is_local(old.hostname):
        problem = "is inside a private network"
    if problem:
        raise RegistryError(f"{place} leads to {(location or '')[:200]!r}, which {problem}", hint=_KEEPER)
    return target


def _joined(place: str, location: str) -> str:
    """Return the address that a location means, seen from a place; nothing where it cannot be an address."""
    try:
        target = urljoin(place, location)
        return "" if urlsplit(target).port == 0 else target
    except ValueError:
        return ""


def _continues(headers: Mapping[str, str], partial: _Partial) -> bool:
    """Does a 206 continue exactly what is there: the same ETag, from the byte that was asked for?"""
    start = headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    return bool(partial.data) and headers.get("etag") == partial.etag and start == str(len(partial.data))


def _strong(etag: str | None) -> str | None:
    return None if etag is None or etag.startswith("W/") else etag


def _retry_after(text: str | None) -> float:
    """Return the seconds of a Retry-After, a number or a date; 0 where there is none."""
    if not text:
        return 0
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0


def _denied(url: str, status: int) -> RegistryError:
    from skillpm.index.credentials import token_variable

    return RegistryError(
        f"{url}: the server answers {status}: it wants a token, or another one",
        hint=f"set {token_variable(url)}, or put a login for the host into ~/.netrc",
        status=status,
    )


def _stopped(url: str) -> RegistryError:
    return RegistryError(f"{url} was not fetched: something else went wrong before", hint="see the first error")


def _too_large(url: str, limit: int) -> RegistryError:
    return RegistryError(f"{url} has more bytes than the {limit} that are allowed", hint=_KEEPER, limit=limit)


def _reason(error: Exception) -> str:
    """Return the innermost cause in words."""
    inner: BaseException = error
    while (deeper := getattr(inner, "reason", None) or inner.__cause__) and isinstance(deeper, BaseException):
        inner = deeper
    strerror = getattr(inner, "strerror", None)
    return strerror or str(inner).partition(": ")[2] or type(inner).__name__


_KEEPER = "tell who keeps this registry"


@contextmanager
def round_trips(at_once: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool whose threads have ended when the context ends; what has not begun after an error never does.

    After KeyboardInterrupt threads that still wait are left behind, for the process to end with them.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()

"""HTTP(S) for a package manager: limits on bytes, time, waits and redirects, and resumed downloads.

``connections`` sends one request; the rules for many are all here. Sources: RFC 9110 (conditional and range requests,
Retry-After), RFC 9112.

Which failures are retried: a lost or cut connection, a timeout, 429 and 5xx (``CutError``). Everything else is final,
because the same request would get the same answer. Pauses double from 0.2 s and are scaled by 0.5 to 1.5 at random, so
that clients that failed together do not come back together; a Retry-After is obeyed up to 30 s, for a longer one the
person decides. A host that used up its tries is silent for the whole invocation: of 100 threads that need it, one
waits and the others fail at once.
A cut download continues only with a strong ETag (If-Range), at exactly the byte where it stopped; otherwise the
archive could be half old and half new, and its digest would blame the registry for our mistake.
"""

from __future__ import annotations

import copy
import email.utils
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from skillpm.errors import RegistryError
from skillpm.formats.gathered import Bytes, Gathering, gathered, inflated, pieces_of
from skillpm.index.connections import Connections, CutError, too_slow
from skillpm.index.credentials import Credentials, host_of, is_local, token_variable
from skillpm.index.pages import KEEPER, MAX_ARCHIVE, ONLINE_ONCE, wrong_length

if TYPE_CHECKING:
    import urllib3

_CHUNK = 1 << 16  # bytes
_ANSWER = 1 << 22  # bytes of an answer to a request that changes something
_PACE = 1 << 20  # bytes in a second beyond the size of a skill: an adapter may take longer
_ENCODED = 1 << 10  # bytes that a transfer coding may add
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ROUND_TRIP = "round trip"  # the names of its threads begin so
_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of waiting for a server, in seconds and tries."""

    connect: float = 10.0
    idle: float = 20.0  # between two pieces of an answer
    whole: float = 180.0  # of one answer
    asked: float = 30.0  # of a Retry-After
    tries: int = 4
    redirects: int = 5
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: 200 with a body; 304, 404 or 410 without one. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def missing(self) -> bool:
        """Does the server say that the document does not exist?"""
        return self.status in (404, 410)


@dataclass(slots=True)
class _Partial:
    """The received part of a body, and the ETag with which the download may continue."""

    resumable: bool = False
    data: Gathering = field(default_factory=Gathering)
    etag: str | None = None


class TooLargeError(RegistryError):
    """An answer has more bytes than are allowed."""


class Transport:
    """The connections of one invocation, through the proxies of its environment; threads may share it."""

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
        limits = self._patience
        self._connections = Connections(limits.connect, limits.idle, limits.whole, environment)
        self._silent: dict[str, RegistryError] = {}
        self._stopped = threading.Event()
        self._granted: dict[str, str] = {}
        self._permit: Callable[[], None] = lambda: None

    def if_permitted(self, permit: Callable[[], None]) -> Transport:
        """Return these connections for one source: ``permit`` is called before each request, and raises to refuse."""
        held = copy.copy(self)
        held._permit = permit
        return held

    def stop(self) -> None:
        """Refuse further requests and stop the downloads of other threads, because the work has failed."""
        self._stopped.set()

    def has_secret(self, url: str) -> bool:
        """Is there a token or a login for the host of a URL? Raises UsageError as sending it would."""
        return self._credentials.header(url) is not None

    def authorize(self, beginning: str, header: str) -> None:
        """Send this Authorization header with requests to addresses that begin like this one, on its host alone."""
        self._granted[beginning] = header

    def authorization(self, url: str) -> str | None:
        """Return the Authorization header for a URL, or None. Raises UsageError as ``Credentials.header``."""
        granted = [*self._granted.items()]  # other threads may add to it
        own = (header for start, header in granted if url.startswith(start) and host_of(url) == host_of(start))
        return next(own, None) or self._credentials.header(url)

    def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        """Fetch a document of at most ``limit`` bytes, decoded, by http or https.

        Raises:
            RegistryError: there is no answer, the answer is an error, or the body is larger than ``limit``.
        """
        partial = _Partial()
        return self._persist(
            url, lambda: self._once(url, limit, {"Accept-Encoding": "gzip", **(headers or {})}, partial)
        )

    def download(self, url: str, *, limit: int, size: int = 0) -> Bytes:
        """Return an archive's bytes: at most ``limit``, and exactly ``size`` unless that is 0.

        A cut download continues if the ETag is the same, and else starts again.

        Raises:
            RegistryError: like ``get``; also for 404.
            IntegrityError: the body does not have ``size`` bytes.
        """
        partial = _Partial(resumable=True)

        def once() -> Answer:
            headers = {"Accept-Encoding": "gzip"}
            if len(partial.data) and partial.etag:
                headers |= {"Range": f"bytes={len(partial.data)}-", "If-Range": partial.etag}
            else:
                partial.data.clear()
            return self._once(url, min(limit, size or limit), headers, partial)

        try:
            answer = self._persist(url, once)
        except TooLargeError:
            if size and size < limit:
                raise wrong_length(url, size, size + 1) from None
            raise
        if answer.status != 200:
            raise RegistryError(f"{url} is missing: the server answers {answer.status}", hint=KEEPER)
        body = _archive(answer, partial.data.value(), size or limit, exact=bool(size))
        if size and len(body) != size:
            if body[:512].lstrip()[:1] == b"<":
                raise RegistryError(
                    f"{url} is a web page, not an archive", hint="log in at a proxy, or check the address"
                )
            raise wrong_length(url, size, len(body))
        return body

    def send(self, method: str, url: str, body: Bytes = b"", *, kind: str = "application/json") -> Answer:
        """Send a request that may change something, with a body of this media type; redirects are not followed.

        Sending it twice must do no harm, because a cut one is sent again.

        Returns:
            Any answer but a busy one, with the first part of its body; the last busy one, if it says why (RFC 9457).

        Raises:
            RegistryError: there is no answer, or the server stays busy.
        """
        tries = count(1)

        def once() -> Answer:
            is_last = next(tries) == self._patience.tries
            answer = self.once(method, url, body, kind=kind)
            says_why = "problem+json" in answer.headers.get("content-type", "")
            if answer.status in _BUSY and answer.status != 500 and not (is_last and says_why):
                self._wait_as_asked(url, answer.status, answer.headers.get("retry-after"))
            return answer

        return self._persist(url, once)

    def once(self, method: str, url: str, body: Bytes = b"", *, kind: str = "application/json") -> Answer:
        """Send a request once, with a body of this media type; return any answer, with the first part of its body.

        Raises:
            CutError: the connection failed or ended early.
            RegistryError: the answer is too large or too slow, or the address or its certificate is wrong.
        """
        headers = {"Content-Type": kind, "Accept": "application/json, application/problem+json"}
        headers |= {} if isinstance(body, bytes) else {"Content-Length": str(len(body))}
        with self._opened(url, headers, method, body if isinstance(body, bytes) else pieces_of(body)) as response:
            partial = _Partial()
            if method != "HEAD":  # it announces a body that does not come
                self._receive(url, response, _ANSWER, partial)
            answered = {key.lower(): value for key, value in response.headers.items()}
            return Answer(response.status, answered, bytes(partial.data.value()))

    def _persist(self, url: str, once: Callable[[], Answer]) -> Answer:
        """Try until there is an answer, with growing pauses, as often as ``Patience`` allows."""
        if self.offline:
            raise RegistryError(f"{url} is needed, and `--offline` forbids fetching it", hint=ONLINE_ONCE)
        self._permit()
        host = urlsplit(url).netloc
        for turn in range(self._patience.tries):
            if self._stopped.is_set():
                raise _stopped(url)
            if host in self._silent:  # another thread has used up the tries
                raise self._silent[host]
            try:
                return once()
            except CutError as cut:
                reason = str(cut)
            if turn + 1 < self._patience.tries:
                self._patience.sleep(0.2 * 2**turn * (0.5 + random.random()))
        error = RegistryError(
            f"{host} cannot be used: {reason}",
            hint="check the address and the network; locked and stored skills install without it",
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
        raise RegistryError(f"{url} redirects more than {self._patience.redirects} times", hint=KEEPER)

    def _answer(self, url: str, response: urllib3.BaseHTTPResponse, limit: int, partial: _Partial) -> Answer:
        status, headers = response.status, {key.lower(): value for key, value in response.headers.items()}
        if status in _BUSY:
            self._wait_as_asked(url, status, headers.get("retry-after"))
        if status in (404, 410):
            with suppress(RegistryError):  # read the body, so that the connection can be used again
                self._receive(url, response, _CHUNK, _Partial())
        if status in (304, 404, 410):
            return Answer(status, headers)
        if status in (401, 403, 407):
            raise _denied(url, status)
        if status == 416 or (status == 206 and not _continues(headers, partial)):
            partial.data.clear()
            raise CutError("the answer does not continue the interrupted download")
        if status not in (200, 206):
            raise RegistryError(f"{url}: the server answers {status}", hint=KEEPER)
        if status == 200:
            partial.data.clear()
            partial.etag = None if "content-encoding" in headers else _strong(headers.get("etag"))
        self._receive(url, response, limit, partial)
        return Answer(200, headers, b"" if partial.resumable else bytes(partial.data.value()))

    def _receive(self, url: str, response: urllib3.BaseHTTPResponse, limit: int, partial: _Partial) -> None:
        """Append the body to the received part. Refuse it as soon as it is, or announces to be, too large."""
        if partial.resumable and "Content-Encoding" in response.headers:
            limit += _ENCODED + limit // 1000  # what cannot be compressed grows by a little
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and len(partial.data) + int(announced[:18]) > limit:
            raise _too_large(url, limit)
        end = time.monotonic() + self._patience.whole + max(0, limit - MAX_ARCHIVE) / _PACE
        # an archive is decoded at the end: some servers call a .tar.gz an encoded tar, and it has to stay as it is
        while piece := response.read1(_CHUNK, decode_content=not partial.resumable):
            partial.data.add(piece)
            if len(partial.data) > limit:
                raise _too_large(url, limit)
            if self._stopped.is_set():
                raise _stopped(url)
            if time.monotonic() > end:
                raise too_slow(url, self._patience.whole)

    def _wait_as_asked(self, url: str, status: int, text: str | None) -> None:
        """Wait as long as Retry-After asks, within the limit, then raise ``CutError`` for another try."""
        seconds = seconds_asked(text)
        if seconds > self._patience.asked:
            raise RegistryError(
                f"{url}: the server answers {status} and asks for a pause of {seconds:.0f} seconds",
                hint="try again then; locked and stored skills install without it",
            )
        if seconds > 0:
            self._patience.sleep(seconds)
        raise CutError(f"it answers {status}")

    def _opened(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: bytes | Iterator[bytes] | None = None
    ) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
        secret = self.authorization(url)
        sent = {"User-Agent": "skillpm", **headers, **({"Authorization": secret} if secret else {})}
        return self._connections.opened(url, sent, method, body)


def _archive(answer: Answer, body: Bytes, limit: int, *, exact: bool) -> Bytes:
    """Return an archive without the coding of its transfer, if it has one: a label alone proves nothing."""
    if answer.headers.get("content-encoding", "").lower() not in ("gzip", "x-gzip") or (exact and len(body) == limit):
        return body
    try:
        plain = gathered(inflated(body, zlib.decompressobj(wbits=31), limit + 1))
    except zlib.error:
        return body
    return plain if exact or plain[:2] == b"\x1f\x8b" else body


def followed(place: str, location: str | None) -> str:
    """Return the target of a redirect or of an address in a document.

    Raises:
        RegistryError: it is not http(s), leaves https for http, or leads from a public host into a private network.
    """
    target = _joined(place, location or "")
    old, new = urlsplit(place), urlsplit(target)
    problem = None
    if not location or new.scheme not in ("http", "https") or not new.hostname or new.username is not None:
        problem = "is not an address that may be followed"
    elif old.scheme == "https" and new.scheme == "http":
        problem = "would leave https for http"
    elif is_local(new.hostname) and not is_local(old.hostname):
        problem = "is inside a private network"
    if problem:
        raise RegistryError(f"{place} leads to {(location or '')[:200]!r}, which {problem}", hint=KEEPER)
    return target


def _joined(place: str, location: str) -> str:
    """Return the absolute address of a location, or "" if it is invalid."""
    try:
        target = urljoin(place, location)
        return "" if urlsplit(target).port == 0 else target
    except ValueError:
        return ""


def _continues(headers: Mapping[str, str], partial: _Partial) -> bool:
    """Does a 206 continue the received part: the same ETag, from the requested byte?"""
    start = headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    return len(partial.data) > 0 and headers.get("etag") == partial.etag and start == str(len(partial.data))


def _strong(etag: str | None) -> str | None:
    return None if etag is None or etag.startswith("W/") else etag


def seconds_asked(text: str | None) -> float:
    """Return the seconds of a Retry-After, a number or a date, or 0."""
    if not text:
        return 0
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0


def _denied(url: str, status: int) -> RegistryError:
    host = host_of(url)
    if status == 407:
        return RegistryError(
            f"{url}: the proxy of the environment demands a login",
            hint="set `http_proxy` to http://USER:PASSWORD@HOST:PORT",
            status=status,
        )
    return RegistryError(
        f"{url}: the server answers {status} and demands a token, or another token",
        hint=f"run `skillpm login {host}`, set {token_variable(url)}, or put a login for the host into ~/.netrc",
        status=status,
    )


def _stopped(url: str) -> RegistryError:
    return RegistryError(f"{url} was not fetched because of an earlier error", hint="see the first error")


def _too_large(url: str, limit: int) -> TooLargeError:
    return TooLargeError(f"{url} has more than the allowed {limit} bytes", hint=KEEPER, limit=limit)


def are_round_trips(threads: Iterable[threading.Thread]) -> bool:
    """Does each of these threads wait for a server, so that nothing is lost where the process ends before it?"""
    return all(thread.name.startswith(_ROUND_TRIP) for thread in threads)


@contextmanager
def round_trips(
    at_once: int, abandoned_by: tuple[type[BaseException], ...] = (KeyboardInterrupt,)
) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool that waits for its threads at the end. After an error, queued work never starts.

    After KeyboardInterrupt, and whatever else is named, waiting threads are left behind and end with the process:
    ``are_round_trips`` knows them.
    """
    pool = ThreadPoolExecutor(at_once, _ROUND_TRIP)
    try:
        yield pool
    except abandoned_by:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()

"""A registry behind HTTP(S): static files on any web server, object store or content network.

A page is cached with its ETag and validated by it. An archive must have the size in its page. Offline, pages come from
the cache only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from skillpm.errors import RegistryError
from skillpm.formats.gathered import Bytes
from skillpm.index.page_cache import PageCache
from skillpm.index.pages import (
    KEEPER,
    LISTING,
    MAX_LISTING,
    MAX_PAGE,
    ONLINE_ONCE,
    largest_archive,
    read_listing,
    read_ranking,
)
from skillpm.index.paths import archive_path, page_path
from skillpm.index.registry import RegistryIndex
from skillpm.index.transport import TooLargeError, Transport, followed
from skillpm.model.release import Listing, Release
from skillpm.model.source import Source, SourceKind

if TYPE_CHECKING:
    from skillpm.index.signed_pages import OpenSigned, SignedPages

_FOUND = 100  # skills that a registry's own search is asked for
_BY_NAME = "use `skillpm show NAME` or `skillpm install NAME`"


def cached_get(
    url: str, transport: Transport, cache: PageCache, headers: Mapping[str, str] | None = None
) -> bytes | None:
    """Return a small document through the cache, or None if the server does not have it.

    Raises:
        RegistryError: there is no usable answer, or offline nothing in the cache.
    """
    cached = cache.get(url)
    if cached is not None and (cached.fresh or transport.offline):
        return cached.body
    condition = {"If-None-Match": cached.etag} if cached is not None and cached.etag else {}
    limit = MAX_LISTING if url.endswith(f"/{LISTING}") else MAX_PAGE
    answer = transport.get(url, limit=limit, headers={**(headers or {}), **condition})
    if answer.status == 304 and cached is not None:
        cache.touch(url)
        if "cache-control" in answer.headers:
            cache.put(url, cached.body, {"etag": cached.etag, **answer.headers})
        return cached.body
    if answer.missing:
        return None
    if answer.status != 200:
        raise RegistryError(f"{url}: the server answers {answer.status}", hint=KEEPER)
    cache.put(url, answer.body, answer.headers)
    return answer.body


class HttpIndex(RegistryIndex):
    """A registry with a URL, its root without a slash at the end. Without ``signed``, no signature of it is checked."""

    remote = True

    def __init__(self, url: str, transport: Transport, cache: PageCache, signed: OpenSigned | None = None) -> None:
        name = str(Source(SourceKind.REGISTRY, url))
        super().__init__(name, f"registry {url}", signed(url, self._fetch) if signed else None)
        self.url = url
        self._transport = transport
        self._cache = cache

    def names(self) -> list[str]:
        """Return the names of the listing; none if the listing is missing or unreachable."""
        with contextlib.suppress(RegistryError):
            return [item.name for item in self.listings()]
        return []

    def listings(self) -> Iterator[Listing]:
        """Yield every skill of the registry's listing. Raises RegistryError, also if there is no listing."""
        self._open()
        data = self._listing()
        if data is None:
            raise RegistryError(f"{self._label} has no {LISTING}", hint=_BY_NAME)
        yield from read_listing(data, self._label)

    def ranked(self, text: str, has: Collection[str] = ()) -> list[Listing] | None:
        """Return what the registry's own search finds with its filters; None without one, offline, or if it fails.

        The listing is fetched once a day beside it, so that a search works offline too.

        Raises:
            RegistryError: this is not a registry.
        """
        place = self.config.search
        if place is None or self._transport.offline:
            return None
        with contextlib.suppress(RegistryError):
            url = followed(f"{self.url}/", place)
            query = urlencode([("q", text), ("limit", _FOUND), *(("has", name) for name in has)])
            answer = self._transport.get(f"{url}?{query}", limit=MAX_PAGE)
            if answer.status == 200:
                listings = read_ranking(answer.body, f"{self._label}: its search")
                if self._cache.is_old(f"{self.url}/{LISTING}"):
                    with contextlib.suppress(RegistryError):
                        self._listing()
                return listings
        return None

    def _listing(self) -> bytes | None:
        """Return the listing; one that was too large is left for a day. Raises RegistryError."""
        refused = f"{self.url}/{LISTING}#too-large"
        try:
            if self._transport.offline or self._cache.is_old(refused):
                return self._document(LISTING)
        except TooLargeError:
            self._cache.put(refused, b"", {})
        raise RegistryError(
            f"{self._label} has a {LISTING} of more than {MAX_LISTING:,} bytes, too large to read",
            hint=f"{_BY_NAME}; a server has a search: `skillpm-registry serve`",
        )

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive's bytes, unchecked. Raises RegistryError if they are missing, cut, or too many."""
        limit = largest_archive(release)
        if release.size > limit:
            raise RegistryError(
                f"{self._label}: {name} {release.version} has {release.size} bytes, {limit} are allowed",
                hint="a skill of this size cannot be installed",
            )
        url = f"{self.url}/{archive_path(release.archive)}"
        return self._transport.download(url, limit=limit, size=release.size)

    def _config(self) -> bytes:
        data = self._document("config.json")
        if data is None:
            raise RegistryError(
                f"{self.url} is not a registry: it has no config.json",
                hint="use the address of the folder with config.json, or of a .well-known/agent-skills",
            )
        return data

    def _signed_page(self, name: str, signed: SignedPages) -> bytes | None:
        """Return a page that the registry's keys signed, or offline the one that was read last."""
        url = f"{self.url}/{page_path(name)}"
        cached = self._cache.get(url)
        if self._transport.offline:
            if cached is None:
                raise RegistryError(f"{url} is not in the cache", hint=ONLINE_ONCE)
            return cached.body
        known = cached.body if cached is not None else b""
        data = signed.page(name, known)
        if data is not None and data != known:
            self._cache.put(url, data, {})
        return data

    def _fetch(self, path: str, limit: int) -> bytes | None:
        answer = self._transport.get(f"{self.url}/{path}", limit=limit)
        if answer.status != 200 and not answer.missing:
            raise RegistryError(f"{self.url}/{path}: the server answers {answer.status}", hint=KEEPER)
        return None if answer.missing else answer.body

    def _document(self, path: str) -> bytes | None:
        return cached_get(f"{self.url}/{path}", self._transport, self._cache)

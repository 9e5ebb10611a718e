"""A registry behind HTTP(S): static files on any web server, object store or content network.

A page is cached with its ETag and validated by it. An archive must have the size in its page. Offline, pages come from
the cache only.
"""

from __future__ import annotations

import contextlib
import threading
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
    archive_path,
    largest_archive,
    page_path,
    read_config,
    read_listing,
    read_page,
    read_ranking,
)
from skillpm.index.transport import TooLargeError, Transport, followed
from skillpm.model.release import Listing, Page, RegistryConfig, Release
from skillpm.model.source import Source, SourceKind

if TYPE_CHECKING:
    from skillpm.index.signed_pages import OpenSigned, SignedPages

_FOUND = 100  # skills that a registry's own search is asked for
_DAY = 24 * 3600.0  # seconds


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


class HttpIndex:
    """A registry with a URL, its root without a slash at the end. Without ``signed``, no signature of it is checked."""

    made_here = False
    remote = True

    def __init__(self, url: str, transport: Transport, cache: PageCache, signed: OpenSigned | None = None) -> None:
        self.name = str(Source(SourceKind.REGISTRY, url))
        self.url = url
        self._transport = transport
        self._cache = cache
        self._checking = threading.Lock()
        self._read_config: RegistryConfig | None = None
        self._signed = signed(url, self._fetch) if signed else None

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None if it is unknown. Raises RegistryError, IntegrityError."""
        self._config()
        if self._signed is not None:
            return self._signed_page(name, self._signed)
        data = self._get(page_path(name))
        return None if data is None else read_page(data, name, f"registry {self.url}")

    def names(self) -> list[str]:
        """Return the names of the listing; none if the listing is missing or unreachable."""
        with contextlib.suppress(RegistryError):
            return [item.name for item in self.listings()]
        return []

    def listings(self) -> Iterator[Listing]:
        """Yield every skill of the registry's listing. Raises RegistryError, also if there is no listing."""
        self._config()
        data = self._get(LISTING)
        if data is None:
            raise RegistryError(
                f"registry {self.url} has no {LISTING}", hint="use `skillpm show NAME` or `skillpm install NAME`"
            )
        yield from read_listing(data, f"registry {self.url}")

    def ranked(self, text: str, has: Collection[str] = ()) -> list[Listing] | None:
        """Return what the registry's own search finds with its filters; None without one, offline, or if it fails.

        The listing is fetched once a day beside it, so that a search works offline too.

        Raises:
            RegistryError: this is not a registry.
        """
        place = self._config().search
        if place is None or self._transport.offline:
            return None
        with contextlib.suppress(RegistryError):
            url = followed(f"{self.url}/", place)
            query = urlencode([("q", text), ("limit", _FOUND), *(("has", name) for name in has)])
            answer = self._transport.get(f"{url}?{query}", limit=MAX_PAGE)
            if answer.status == 200:
                listings = read_ranking(answer.body, f"registry {self.url}: its search")
                self._keep_listing()
                return listings
        return None

    def _keep_listing(self) -> None:
        """Fetch the listing if the one that is kept is older than a day; one that was too large is left for a day."""
        url, refused = f"{self.url}/{LISTING}", f"{self.url}/{LISTING}#too-large"
        if self._cache.is_older(url, _DAY) and self._cache.is_older(refused, _DAY):
            try:
                self._get(LISTING)
            except TooLargeError:
                self._cache.put(refused, b"", {})
            except RegistryError:
                pass

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive's bytes, unchecked. Raises RegistryError if they are missing, cut, or too many."""
        limit = largest_archive(release)
        if release.size > limit:
            raise RegistryError(
                f"registry {self.url}: {name} {release.version} has {release.size} bytes, {limit} are allowed",
                hint="a skill of this size cannot be installed",
            )
        url = f"{self.url}/{archive_path(release.archive)}"
        return self._transport.download(url, limit=limit, size=release.size)

    def _config(self) -> RegistryConfig:
        """Read config.json once, so that a mistyped address does not look like a registry without the name."""
        with self._checking:
            if self._read_config is None:
                data = self._get("config.json")
                if data is None:
                    raise RegistryError(
                        f"{self.url} is not a registry: it has no config.json",
                        hint="use the address of the folder with config.json, or of a .well-known/agent-skills",
                    )
                config = read_config(data, f"registry {self.url}")
                if self._signed is not None and config.signed is None and not self._signed.pinned:
                    self._signed = None
                self._read_config = config
            return self._read_config

    def demand_logged(self, name: str, release: Release) -> None:
        """Check the proof of a release if the registry is signed. Raises IntegrityError, RegistryError."""
        if self._signed is not None:
            self._signed.demand_logged(name, release)

    def _signed_page(self, name: str, pages: SignedPages) -> Page | None:
        """Return a page that the registry's keys signed, or offline the one that was read last."""
        url = f"{self.url}/{page_path(name)}"
        cached = self._cache.get(url)
        data = cached.body if cached is not None else b""
        if not self._transport.offline:
            signed = pages.page(name, data)
            if signed is None:
                return None
            if signed != data:
                self._cache.put(url, signed, {})
            data = signed
        elif cached is None:
            raise RegistryError(f"{url} is not in the cache", hint=ONLINE_ONCE)
        return read_page(data, name, f"registry {self.url}", logged=True)

    def _fetch(self, path: str, limit: int) -> bytes | None:
        answer = self._transport.get(f"{self.url}/{path}", limit=limit)
        if answer.status != 200 and not answer.missing:
            raise RegistryError(f"{self.url}/{path}: the server answers {answer.status}", hint=KEEPER)
        return None if answer.missing else answer.body

    def _get(self, path: str) -> bytes | None:
        return cached_get(f"{self.url}/{path}", self._transport, self._cache)

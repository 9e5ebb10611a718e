"""A cache of a server's pages with their ETags: validating a page costs one short answer, and offline works without.

Each page is one file: a line of JSON, then the body. The line has the URL and the body's SHA-256, so a truncated file,
a damaged one or a collision of names counts as a miss. This is why nothing is fsynced and no lock is needed: a write
is a rename of a whole file, the last of two writers wins, and a bad file costs one more download.
A page is used without a request only while ``max-age`` allows it, and for one hour at most, so that a yank is never
hidden for longer; a time further in the future (a clock that was set back) counts as stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from skillpm.errors import StorageError
from skillpm.storage.files import write_atomic

PAGES = "pages-v1"  # the folder of the cache
_DAY = 24 * 3600.0  # seconds
_MAX_AGE = re.compile(r"(?:\A|[,\s])max-age=(\d{1,9})(?:\Z|[,\s])")


@dataclass(frozen=True, slots=True)
class _Head:
    url: str
    etag: str
    stale: float  # seconds since the epoch
    sha256: str


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page as the server last sent it.

    Attributes:
        etag: the server's tag of this content; may be empty.
        fresh: may the page be used without a request?
    """

    body: bytes
    etag: str
    fresh: bool


class PageCache:
    """A folder of pages, made with the first page."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, url: str) -> CachedPage | None:
        """Return the page of a URL, or None if there is no intact one."""
        try:
            line, _, body = self._path(url).read_bytes().partition(b"\n")
            head = _Head(**json.loads(line))
        except (OSError, ValueError, TypeError):
            return None
        if head.url != url or head.sha256 != hashlib.sha256(body).hexdigest():
            return None
        return CachedPage(body, head.etag, time.time() < head.stale <= time.time() + _LONGEST)

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Store a page unless the server forbids it. A failing disk is not an error."""
        control = headers.get("cache-control", "").lower()
        if "no-store" in control:
            return
        age = _MAX_AGE.search(control) if "no-cache" not in control else None
        stale = time.time() + min(int(age[1]), _LONGEST) if age else 0.0
        head = _Head(url, headers.get("etag", ""), stale, hashlib.sha256(body).hexdigest())
        with contextlib.suppress(StorageError):
            write_atomic(self._path(url), json.dumps(asdict(head)).encode() + b"\n" + body, durable=False)

    def is_old(self, url: str) -> bool:
        """Is the page of a URL missing, or was it stored or ``touch``ed more than a day ago?"""
        try:
            return time.time() - self._path(url).stat().st_mtime > _DAY
        except OSError:
            return True

    def touch(self, url: str) -> None:
        """Note that the page of a URL is still the server's."""
        with contextlib.suppress(OSError):
            os.utime(self._path(url))

    def _path(self, url: str) -> Path:
        return self._root / hashlib.sha256(url.encode()).hexdigest()


_LONGEST = 3600  # seconds that a page is used at most without a request

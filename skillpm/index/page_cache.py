"""Pages that a server has given before, kept with their ETag: asked again they cost one short answer, offline nothing.

One file a page: a line of JSON, then the body. A damaged file is as good as none, so nothing is fsynced.
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

_MAX_AGE = re.compile(r"(?:\A|[,\s])max-age=(\d{1,9})(?:\Z|[,\s])")


@dataclass(frozen=True, slots=True)
class _Head:
    url: str
    etag: str
    stale: float  # seconds since the epoch
    sha256: str


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page as it was when the server was last asked.

    Attributes:
        body: its bytes.
        etag: what the server calls this state of it; empty where it said nothing.
        fresh: did the server say that it need not be asked yet?
    """

    body: bytes
    etag: str
    fresh: bool


class PageCache:
    """A folder of pages.

    Args:
        root: the folder, made when the first page is kept.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, url: str) -> CachedPage | None:
        """Return the page of a URL, None where there is none that is whole."""
        try:
            line, _, body = self._path(url).read_bytes().partition(b"\n")
            head = _Head(**json.loads(line))
        except (OSError, ValueError, TypeError):
            return None
        if head.url != url or head.sha256 != hashlib.sha256(body).hexdigest():
            return None
        return CachedPage(body, head.etag, time.time() < head.stale <= time.time() + _LONGEST)

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep a page, unless the server forbids it; a disk that refuses is no error, only a slower next time."""
        control = headers.get("cache-control", "").lower()
        if "no-store" in control:
            return
        age = _MAX_AGE.search(control) if "no-cache" not in control else None
        stale = time.time() + min(int(age[1]), _LONGEST) if age else 0.0
        head = _Head(url, headers.get("etag", ""), stale, hashlib.sha256(body).hexdigest())
        path = self._path(url)
        temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.tmp")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(json.dumps(asdict(head)).encode() + b"\n" + body)
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)

    def _path(self, url: str) -> Path:
        return self._root / hashlib.sha256(url.encode()).hexdigest()


_LONGEST = 3600  # seconds that a page is used unasked at most, whatever the server allows

"""The registry's static files, as any web server would serve them: ETag, ranges, immutable archives.

Only what a registry publishes is served. The statements, the scratch folder and the server's own state are not.

Most requests ask for a small file, or whether it has changed. ``RegistryFiles.at_once`` answers them with one read in
the event loop, before the framework sees them: its threads and streams take ten times as long as the read. The rest is
Starlette's: ranges, large files, private registries and object stores.
"""

from __future__ import annotations

import os
import re
import stat
from email.utils import formatdate
from functools import lru_cache
from itertools import accumulate
from mimetypes import guess_type

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send

from skillpm.index.pages import LISTING
from skillpm_registry.access import reader
from skillpm_registry.blobs import StoredRegistry
from skillpm_registry.services import Services

_IMMUTABLE = "public, max-age=31536000, immutable"  # a year, the longest that caches keep (RFC 9111)
_CHECKED = "no-cache"  # a cache may keep it, and asks each time whether it is still so
_ARCHIVE = re.compile(r"archives/([0-9a-f]{2})/([0-9a-f]{62})\.tar\.gz")
_RANGE = re.compile(rb"bytes=(?=.*[0-9])([0-9]{0,15})-([0-9]{0,15})")
_CONDITIONS = frozenset({b"range", b"if-range", b"if-match", b"if-modified-since", b"if-unmodified-since"})
_SMALL = 1 << 18  # bytes of a file that is read at once
FOLDERS = {"archives": _IMMUTABLE, "skills": _CHECKED, "metadata": _CHECKED, "log": _CHECKED}
SERVED = {LISTING: _CHECKED, **FOLDERS}
"""The files and folders at the root that are served, and how long a cache may keep them."""
RawHeaders = list[tuple[bytes, bytes]]


def _is_range(value: bytes) -> bool:
    """Is this a Range header with one range of bytes? Others are ignored, as they may be (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(value)
    return match is not None and not (match[1] and match[2] and int(match[1]) > int(match[2]))


def _is_served(path: str) -> bool:
    """Is this the path of a file that is served, if there is one? Hidden files and steps to a parent are not."""
    first, *others = path.split("/")
    return first in SERVED and "\0" not in path and all(part and part[0] != "." for part in others)


def _is_linked(root: str, path: str) -> bool:
    """Is a folder on the way from the root to a file a link?"""
    folders = accumulate(path.split("/")[:-1], "{}/{}".format)
    return any(stat.S_ISLNK(os.lstat(f"{root}/{folder}").st_mode) for folder in folders)


@lru_cache(maxsize=1 << 13)
def _headers(path: str, changed: int, size: int) -> RawHeaders:
    """Return the headers of a served file; ``changed`` is in nanoseconds (Unix)."""
    headers = {
        "content-type": guess_type(path)[0] or "application/octet-stream",
        "content-length": str(size),
        "etag": f'"{changed:x}-{size:x}"',
        "last-modified": formatdate(changed / 1e9, usegmt=True),
        "cache-control": SERVED[path.partition("/")[0]],
        "accept-ranges": "bytes",
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class RegistryFiles(StaticFiles):
    """The served part of a registry's folder, as an ASGI application.

    Args:
        services: with the folder, and with what counts downloads.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(directory=services.configuration.data)
        self._root = os.path.realpath(services.configuration.data)
        self._private = services.configuration.private
        self._downloads = services.downloads
        self._blobs = services.registry.blobs if isinstance(services.registry, StoredRegistry) else None

    def at_once(self, scope: Scope) -> tuple[int, RawHeaders, bytes] | None:
        """Return status, headers and body for a request that needs one read; None for any other."""
        path, asked = scope["path"][1:], dict(scope["headers"])
        if self._private or scope["method"] != "GET" or asked.keys() & _CONDITIONS or not _is_served(path):
            return None
        place, known = f"{self._root}/{path}", asked.get(b"if-none-match")
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (OSError, ValueError):  # it is missing, a link, too long, or not text
            return None
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size > _SMALL or _is_linked(self._root, path):
                return None
            headers = _headers(path, about.st_mtime_ns, about.st_size)
            if known is not None:
                same = [item for item in headers if item[0] in (b"etag", b"cache-control")]
                return (304, same, b"") if (b"etag", known) in same else None
            body = os.read(descriptor, about.st_size)
        except OSError:  # the disk fails; within the framework that has an answer
            return None
        finally:
            os.close(descriptor)
        self._count(path)
        return 200, headers, body

    def _count(self, path: str) -> None:
        if archive := _ARCHIVE.fullmatch(path):
            self._downloads.count(archive[1] + archive[2])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = [item for item in scope["headers"] if item[0] != b"range" or _is_range(item[1])]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the answer to a request."""
        if self._private:
            await reader(Request(scope))
        try:
            response = await super().get_response(path, scope)
        except HTTPException as missing:
            is_archive = missing.status_code == 404 and _ARCHIVE.fullmatch(path)
            stored = await self._stored(path, scope) if is_archive else None
            if stored is None:
                raise
            response = stored
        is_whole = scope["method"] == "GET" and all(name != b"range" for name, _ in scope["headers"])
        if is_whole and response.status_code in (200, 307):
            self._count(path)
        return response

    async def _stored(self, path: str, scope: Scope) -> Response | None:
        """Return the answer of the object store, if there is one and it has the archive."""
        response = await self._blobs.answer(path, scope["method"]) if self._blobs else None
        if response and response.status_code == 200:
            response.headers["Cache-Control"] = _IMMUTABLE.replace("public", "private") if self._private else _IMMUTABLE
        return response

    def get_path(self, scope: Scope) -> str:
        """Return the path of a request as it was sent: `..` in it is never resolved."""
        path: str = scope["path"]
        return path.removeprefix(scope.get("app_root_path", "")).removeprefix("/")

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the file of a path. What is not served, hidden, or not a path of this system has none."""
        try:
            place, about = super().lookup_path(path) if _is_served(path) else ("", None)
        except (OSError, ValueError):  # too long, not text
            return "", None
        return (place, about) if place == f"{self._root}/{path}" else ("", None)  # no link led there

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file, or 304 for a known one."""
        raw = _headers(self.get_path(scope), stat_result.st_mtime_ns, stat_result.st_size)
        headers = {name.decode(): value.decode() for name, value in raw}
        if self._private:
            headers["cache-control"] = headers["cache-control"].replace("public", "private")
        response = FileResponse(full_path, status_code, headers, stat_result=stat_result)
        is_known = self.is_not_modified(response.headers, Headers(scope=scope))
        return NotModifiedResponse(response.headers) if is_known else response

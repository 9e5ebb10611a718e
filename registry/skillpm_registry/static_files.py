"""The registry's static files, as any web server would serve them: ETag, ranges, immutable archives.

Only what a registry publishes is served. The statements, the scratch folder and the server's own state are not.
"""

from __future__ import annotations

import os
import re

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from skillpm.index.pages import LISTING
from skillpm_registry.access import reader
from skillpm_registry.blobs import StoredRegistry
from skillpm_registry.services import Services

_IMMUTABLE = "public, max-age=31536000, immutable"  # a year, the longest that caches keep (RFC 9111)
_CHECKED = "no-cache"  # a cache may keep it, and asks each time whether it is still so
_ARCHIVE = re.compile(r"archives/([0-9a-f]{2})/([0-9a-f]{62})\.tar\.gz")
_RANGE = re.compile(rb"bytes=(?=.*[0-9])([0-9]{0,15})-([0-9]{0,15})")
FOLDERS = {"archives": _IMMUTABLE, "skills": _CHECKED, "metadata": _CHECKED, "log": _CHECKED}
SERVED = {"config.json": _CHECKED, LISTING: _CHECKED, **FOLDERS}
"""The files and folders at the root that are served, and how long a cache may keep them."""


def _is_range(value: bytes) -> bool:
    """Is this a Range header with one range of bytes? Others are ignored, as they may be (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(value)
    return match is not None and not (match[1] and match[2] and int(match[1]) > int(match[2]))


class RegistryFiles(StaticFiles):
    """The served part of a registry's folder, as an ASGI application.

    Args:
        services: with the folder, and with what counts downloads.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(directory=services.configuration.data)
        self._private = services.configuration.private
        self._downloads = services.downloads
        self._blobs = services.registry.blobs if isinstance(services.registry, StoredRegistry) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = [item for item in scope["headers"] if item[0] != b"range" or _is_range(item[1])]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the answer to a request."""
        if self._private:
            await run_sync(reader, Request(scope))
        archive = _ARCHIVE.fullmatch(path)
        try:
            response = await super().get_response(path, scope)
        except HTTPException as missing:
            stored = await self._stored(path, scope) if archive and missing.status_code == 404 else None
            if stored is None:
                raise
            response = stored
        archive = archive if response.status_code in (200, 307) else None
        whole = scope["method"] == "GET" and all(name != b"range" for name, _ in scope["headers"])
        if archive and whole and self._downloads.note(archive[1] + archive[2]):
            await run_sync(self._downloads.write)
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
        parts = path.split("/")
        if parts[0] not in SERVED or any(not part or part.startswith(".") for part in parts):
            return "", None
        try:
            return super().lookup_path(path)
        except (OSError, ValueError):  # too long, NUL
            return "", None

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file, or 304 for a known one."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        kept = SERVED[self.get_path(scope).partition("/")[0]]
        response.headers["Cache-Control"] = kept.replace("public", "private") if self._private else kept
        return response

"""Templates, headers and the memory of pages that were rendered since the registry last changed."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

import jinja2
from fastapi import Request, Response

from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.pages.markdown import visible
from skillpm_registry.protocols.semantic import semantic
from skillpm_registry.routing import is_known

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_SECONDS = 600  # that a page is kept: the number of downloads on it is at most so old
_KEPT = 256  # pages in memory
_LARGEST = 256 << 10  # bytes of a page that is kept
_YEAR = "public, max-age=31536000, immutable"
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return style sheet, script and icon by their names, which change with their content, and their types."""
    found = {}
    for name, kind in (("style.css", "text/css"), ("copy.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        content = files("skillpm_registry.pages").joinpath("files", name).read_bytes()
        stem, _, ending = name.rpartition(".")
        found[f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.{ending}"] = (content, f"{kind}; charset=utf-8")
    return found


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skillpm_registry.pages", "templates"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"date": _date, "size": _size, "visible": visible, "semantic": semantic}
    environment.globals |= {"style": static_path("style"), "script": static_path("copy"), "icon": static_path("icon")}
    return environment


def static_path(stem: str) -> str:
    """Return the path of a static file by the beginning of its name."""
    return next(f"/-/{name}" for name in static_files() if name.startswith(f"{stem}-"))


def _date(text: str | None) -> str:
    """Return a time of a page as a date that people read, such as `3 November 2026`."""
    if not text or not _ISO_DATE.match(text):
        return "at an unknown time"
    try:
        day = datetime.fromisoformat(text[:10])
    except ValueError:
        return "at an unknown time"
    return f"{day.day} {day:%B %Y}"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


class MissingError(Exception):
    """What cannot be shown, and why; it gets a page of its own. ``near`` are names that may have been meant."""

    def __init__(
        self, title: str, detail: str = "Check the spelling.", *, near: Sequence[str] = (), status: int = 404
    ) -> None:
        super().__init__(title)
        self.values = {"title": visible(title), "detail": visible(detail), "near": near, "status": status}


class Pages:
    """Renders pages and remembers them until the registry changes.

    Args:
        catalogue: whose changes count.
        shared: what every template knows.
    """

    def __init__(self, catalogue: Catalogue, shared: dict[str, Any]) -> None:
        self._catalogue = catalogue
        self._shared = shared
        self._kept: OrderedDict[tuple[str, str], tuple[int, bytes]] = OrderedDict()

    def answer(
        self, request: Request, make: Callable[[], tuple[str, dict[str, Any]]], *, keep: bool = True
    ) -> Response:
        """Return the page of a request, or 304 if the browser has it.

        Args:
            request: its path and query are the name of the page.
            make: returns the template and its values, or raises MissingError.
            keep: does the page change only with the registry's folder?
        """
        stamp = self._catalogue.stamp() if keep else ""
        key = (f"{stamp} {time.time() // _SECONDS}", f"{request.url.path}?{request.url.query}")
        kept = self._kept.get(key) if stamp else None
        if kept is None:
            try:
                template, values = make()
            except MissingError as missing:
                template, values = "missing.html.j2", missing.values
            kept = values.get("status", 200), self.render(template, request.url.path, **values)
            if stamp and kept[0] == 200 and len(kept[1]) <= _LARGEST:
                self._kept[key] = kept
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        status, body = kept
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        if status == 200:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
            if is_known(request, headers["ETag"]):
                return Response(status_code=304, headers=headers)
        return Response(body, status, headers, "text/html; charset=utf-8")

    def missing(self, request: Request) -> Response:
        """Return the page of an address that there is not."""

        def make() -> NoReturn:
            raise MissingError(f"There is no page {request.url.path[:80]}")

        return self.answer(request, make, keep=False)

    def render(self, template: str, path: str = "", **values: Any) -> bytes:
        """Return a page as bytes."""
        text = _environment().get_template(template).render({**self._shared, "path": path, **values})
        return text.encode("utf-8", "backslashreplace")


def static_answer(name: str) -> Response:
    """Return the style sheet, the script or the icon."""
    content, kind = static_files().get(name, (None, ""))
    if content is None:
        return Response("there is no such file", 404, media_type="text/plain")
    return Response(content, headers={"Cache-Control": _YEAR}, media_type=kind)

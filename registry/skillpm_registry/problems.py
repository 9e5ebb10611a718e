"""Errors as problem documents (RFC 9457), each with a stable ``type``.

``urn:skillpm:problem:NAME`` is the type, ``detail`` the message, ``hint`` what to do next, and ``request`` the number
to look for in the server's log. What a client sent is not repeated beyond its first characters.
"""

from __future__ import annotations

import errno
import logging
import re
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from skillpm.errors import (
    BusyError,
    CheckError,
    ConflictError,
    IntegrityError,
    RegistryError,
    SkillpmError,
    StorageError,
    UsageError,
)
from skillpm.formats.document import problem_words

TYPE = "urn:skillpm:problem:"
_TEXT = {"type": "string"}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "A problem (RFC 9457).",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        **dict.fromkeys(("type", "title", "detail", "hint", "request"), _TEXT),
                        "status": {"type": "integer"}, "details": {"type": "object"},
                    },
                    "required": ["type", "title", "status", "detail"],
                }
            }
        },
    }
}  # fmt: skip
"""What the description of the API says of every error."""
_STATUS: tuple[tuple[type[SkillpmError], int], ...] = (
    (ConflictError, 409), (CheckError, 422), (IntegrityError, 422), (UsageError, 422), (RegistryError, 404),
    (BusyError, 503), (StorageError, 503),
)  # fmt: skip
_NO_OBJECT = frozenset({"missing", "dict_type", "model_type", "model_attributes_type"})
_WHOLE_BODY = "the body must be a JSON object, sent with `Content-Type: application/json`"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK = _FULL | {errno.EIO, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM}
_log = logging.getLogger("skillpm_registry")


class ApiError(SkillpmError):
    """An answer of the API that is not a success.

    Args:
        status: of HTTP.
        kind: the stable name at the end of the type.
        message: what is wrong.
        hint: what to do next.
        details: structure for programs.
    """

    def __init__(self, status: int, kind: str, message: str, hint: str, **details: Any) -> None:
        super().__init__(message, hint=hint, **details)
        self.status = status
        self.kind = kind
        self.headers: dict[str, str] = {}

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # of a command: an operator's account has the same rules
        """What a command that meets it exits with."""
        return UsageError.exit_code if self.status == 422 else RegistryError.exit_code


def _answer(
    request: Request, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    content = {
        "type": TYPE + kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{key: value for key, value in more.items() if value},
        "request": getattr(request.state, "number", ""),
    }
    return JSONResponse(content, status, headers, media_type="application/problem+json")


async def of_ours(request: Request, error: Exception) -> JSONResponse:
    """Answer one of our own errors."""
    assert isinstance(error, SkillpmError)
    if isinstance(error, StorageError) and error.details.get("errno") is not None:
        return _of_disk(request, error, error.details["errno"])
    if isinstance(error, ApiError):
        status, kind, headers = error.status, error.kind, error.headers
    else:
        status = next((status for family, status in _STATUS if isinstance(error, family)), 500)
        kind, headers = error.name, {"Retry-After": "1"} if status == 503 else {}
    if status >= 500:
        _log.error("request failed", exc_info=error, extra={"request": getattr(request.state, "number", "")})
    without_place = request.app.state.services.configuration.without_place
    message, hint = without_place(error.message), without_place(error.hint or "")
    return _answer(request, status, kind, message, headers=headers, hint=hint, details=error.details)


async def of_disk(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the system: 507 or 503 if it is one of the disk, else it is a defect of ours."""
    assert isinstance(error, OSError)
    return _of_disk(request, error, error.errno) if error.errno in _DISK else await of_defect(request, error)


def _of_disk(request: Request, error: Exception, number: int) -> JSONResponse:
    """Say that the disk failed; the operator finds the path and the reason in the log."""
    _log.error("the disk failed", exc_info=error, extra={"request": getattr(request.state, "number", "")})
    is_full = number in _FULL
    return _answer(
        request, 507 if is_full else 503, "storage", f"the disk of this registry {'is full' if is_full else 'failed'}",
        headers={} if is_full else {"Retry-After": "1"},
        hint="tell its operator, and try again later",
    )  # fmt: skip


async def of_framework(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the framework, such as 404 for a path that does not exist."""
    assert isinstance(error, HTTPException)
    status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
    if status in (404, 405) and (methods := _methods(request)) and request.method not in methods:
        status, detail = 405, HTTPStatus(405).phrase  # the static files have answered, who do not know the other routes
        headers["Allow"] = ", ".join(sorted(methods))
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    detail = request.app.state.services.configuration.without_place(detail)
    return _answer(request, status, kind, detail, headers=headers)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


def _methods(request: Request) -> set[str]:
    """Return the methods of the routes that have the path of a request: of those that name most of it, if some do."""
    methods: dict[str, set[str]] = {}
    for context in iter_route_contexts(request.app.routes):
        route = context.original_route
        path = context.path or (route.path if isinstance(route, APIRoute) else "")
        if isinstance(route, APIRoute) and _pattern(path).match(request.url.path):
            methods.setdefault(path, set()).update(route.methods or ())
            methods[path] |= {"HEAD"} if "GET" in methods[path] else set()  # it is answered like GET
    return methods[min(methods, key=lambda path: path.count("{"))] if methods else set()


async def of_validation(request: Request, error: Exception) -> JSONResponse:
    """Answer a document or parameter that breaks its schema, without repeating it."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part)[:80] for part in first["loc"][1:]]  # after body, path or query
    is_whole = first["type"] == "json_invalid" or (not place and first["type"] in _NO_OBJECT)
    words = _WHOLE_BODY if is_whole else problem_words({**first, "loc": place})
    fields = [{"place": [str(part)[:80] for part in item["loc"]], "problem": item["msg"][:200]}
              for item in error.errors()[:20]]  # fmt: skip
    return _answer(request, 422, "invalid", words[:400], details={"fields": fields})


async def of_defect(request: Request, error: Exception) -> JSONResponse:
    """Answer a defect of the server, and say nothing about it."""
    _log.error("defect", exc_info=error, extra={"request": getattr(request.state, "number", "")})
    return _answer(request, 500, "defect", "the server has a defect; its operator finds it in the log")

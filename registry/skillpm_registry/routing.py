"""Routers whose routes an application takes as they are. FastAPI's inclusion would make each of them twice more."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from skillpm_registry.access import reader
from skillpm_registry.problems import RESPONSES

API = "/api/v1"
"""Where the API is."""


def api_router(tag: str, prefix: str = "") -> APIRouter:
    """Return a router below the address of the API."""
    return APIRouter(prefix=API + prefix, tags=[tag], responses=RESPONSES)


def reading_router(tag: str, prefix: str = "", *, shown: bool = True) -> APIRouter:
    """Return a router for readers; ``shown`` says whether the description of the API has its routes."""
    return APIRouter(
        prefix=prefix, tags=[tag], dependencies=[Depends(reader)], responses=RESPONSES, include_in_schema=shown
    )


def is_known(request: Request, tag: str) -> bool:
    """Has the client the answer with this ETag? A proxy that compresses answers makes a tag weak (RFC 9110, 13.1.2)."""
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or tag in [item.strip().removeprefix("W/") for item in known.split(",")]

"""Routers whose routes an application takes as they are. FastAPI's inclusion would make each of them twice more."""

from __future__ import annotations

from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, Request

from skillpm_registry.access import reader
from skillpm_registry.problems import RESPONSES

API = "/api/v1"
"""Where the API is."""
_CHECKED_AT_ONCE = 4  # archives: each is unpacked in memory


def api_router(tag: str, prefix: str = "") -> APIRouter:
    """Return a router below the address of the API."""
    return APIRouter(prefix=API + prefix, tags=[tag], responses=RESPONSES)


def reading_router(tag: str, prefix: str = "", *, shown: bool = True) -> APIRouter:
    """Return a router for readers; ``shown`` says whether the description of the API has its routes."""
    return APIRouter(
        prefix=prefix, tags=[tag], dependencies=[Depends(reader)], responses=RESPONSES, include_in_schema=shown
    )


def checking(request: Request) -> CapacityLimiter:
    """Return what bounds how many archives an application checks at once, by whatever protocol they came."""
    state = request.app.state
    if not hasattr(state, "checking"):
        state.checking = CapacityLimiter(_CHECKED_AT_ONCE)
    limiter: CapacityLimiter = state.checking
    return limiter

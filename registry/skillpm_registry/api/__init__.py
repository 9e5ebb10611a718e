"""The routes of the API, below ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter

from skillpm_registry.api import accounts, approvals, releases, trusted

PREFIX = "/api/v1"


def router() -> APIRouter:
    """Return all routes of the API."""
    whole = APIRouter(prefix=PREFIX)
    for part in (releases, approvals, accounts, trusted):
        whole.include_router(part.router)
    return whole

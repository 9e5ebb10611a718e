"""The protocols of other skill managers, served from the same releases."""

from __future__ import annotations

from fastapi import APIRouter

from skillpm_registry.protocols import apm, clawhub, marketplace, repositories, well_known
from skillpm_registry.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes of all protocols."""
    routes = APIRouter()
    for protocol in (well_known, marketplace, repositories, apm, clawhub):
        routes.include_router(protocol.router(services))
    return routes

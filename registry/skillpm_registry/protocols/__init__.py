"""The protocols of other skill managers, served from the same releases."""

from __future__ import annotations

from fastapi import APIRouter

from skillpm_registry.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes of all protocols."""
    return APIRouter()

"""The pages for people: HTML that is rendered here and works without JavaScript."""

from __future__ import annotations

from fastapi import APIRouter

from skillpm_registry.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes of the pages."""
    return APIRouter(include_in_schema=False)

"""The pages for people: HTML that is rendered here and works without JavaScript."""

from __future__ import annotations

from starlette.routing import BaseRoute

from skillpm_registry.pages.routes import router
from skillpm_registry.services import Services


def routes(services: Services) -> list[BaseRoute]:
    """Return the routes of all pages."""
    return router(services).routes

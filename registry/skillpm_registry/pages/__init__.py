"""The pages for people: HTML that is rendered here and works without JavaScript."""

from __future__ import annotations

from starlette.routing import BaseRoute

from skillpm_registry.pages.rendering import Pages
from skillpm_registry.pages.routes import open_pages as open_pages
from skillpm_registry.pages.routes import router
from skillpm_registry.services import Services


def routes(services: Services, pages: Pages) -> list[BaseRoute]:
    """Return the routes of all pages."""
    return router(services, pages).routes

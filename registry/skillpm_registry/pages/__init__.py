"""The pages for people: HTML that is rendered here and works without JavaScript."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from skillpm_registry.pages.routes import router
from skillpm_registry.services import Services


def routes(services: Services) -> list[BaseRoute]:
    """Return the routes of all pages; who asks for a page's head gets it."""
    routes = router(services).routes
    for route in routes:
        if isinstance(route, APIRoute) and route.methods:
            route.methods.add("HEAD")
    return routes

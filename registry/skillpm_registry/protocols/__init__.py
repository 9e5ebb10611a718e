"""The protocols of other skill managers, served from the same releases."""

from __future__ import annotations

from starlette.routing import BaseRoute

from skillpm_registry.protocols import apm, clawhub, marketplace, repositories, well_known
from skillpm_registry.services import Services


def routes(services: Services) -> list[BaseRoute]:
    """Return the routes of all protocols."""
    protocols = (well_known, marketplace, repositories, apm, clawhub)
    return [route for protocol in protocols for route in protocol.router(services).routes]

"""The application: routes in their order, over the services of one process."""

from __future__ import annotations

from fastapi import FastAPI

from skillpm_registry import __version__, pages, protocols, search
from skillpm_registry.configuration import Configuration
from skillpm_registry.services import open_services
from skillpm_registry.static_files import RegistryFiles


def create_app(configuration: Configuration) -> FastAPI:
    """Return the application over a registry's folder.

    Args:
        configuration: the decisions of the operator.

    Raises:
        RegistryError: the folder is not a registry, or is damaged.
    """
    services = open_services(configuration)
    app = FastAPI(title=f"skillpm registry {configuration.name}", version=__version__, docs_url=None, redoc_url=None)
    app.state.services = services

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Answer while the server can read its registry."""
        return {"status": "ok", "registry": services.registry.config.name}

    app.include_router(search.router(services))
    app.include_router(protocols.router(services))
    app.include_router(pages.router(services))
    app.mount("/", RegistryFiles(configuration.data))  # last: it answers every other path
    return app

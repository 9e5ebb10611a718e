"""The application: routes in their order, over the services of one process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from skillpm.errors import SkillpmError
from skillpm_registry import __version__, api, oidc, pages, problems, protocols, search
from skillpm_registry.access import Rates, Shared, reader
from skillpm_registry.configuration import Configuration
from skillpm_registry.edge import Edge
from skillpm_registry.metrics import Metrics
from skillpm_registry.publishing import finish
from skillpm_registry.routing import API, is_known
from skillpm_registry.services import open_services
from skillpm_registry.settling import recover
from skillpm_registry.static_files import RegistryFiles


class Application(FastAPI):
    """FastAPI behind the edge, which sees every request and answer first and answers most requests itself."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        await self.edge(scope, receive, send)


def create_app(configuration: Configuration) -> Application:
    """Return the application over a registry's folder.

    Args:
        configuration: the decisions of the operator.

    Raises:
        RegistryError: the folder is not a registry, or is damaged.
        StorageError: the disk or the database refused.
    """
    services = open_services(configuration)
    recover(services)
    services.lister.after = lambda: finish(services)
    services.lister.wake()
    if services.gate is not None:
        services.gate.after = services.lister.wake

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_sync(services.catalogue.refresh)
        yield
        services.close()

    app = Application(
        title=f"skillpm registry {configuration.name}", version=__version__, lifespan=lifespan, docs_url=None,
        redoc_url=None, openapi_url=f"{API}/openapi.json",
    )  # fmt: skip
    app.state.services, app.state.rates = services, Rates(configuration.rate)
    app.state.issuers = oidc.Issuers(local=configuration.local_issuers)
    app.add_exception_handler(SkillpmError, problems.of_ours)
    site = pages.open_pages(services)

    async def of_framework(request: Request, error: Exception) -> Response:
        answer = await problems.of_framework(request, error)
        is_page = answer.status_code == 404 and "text/html" in request.headers.get("accept", "")
        return site.missing(request) if is_page else answer

    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(RequestValidationError, problems.of_validation)
    app.add_exception_handler(OSError, problems.of_disk)
    app.add_exception_handler(Exception, problems.of_defect)
    metrics, files = Metrics(services), RegistryFiles(services)
    inner = super(Application, app).__call__
    app.edge = Edge(inner, configuration.seconds, configuration.largest, metrics.answered, files)
    app.add_api_route("/healthz", _health, methods=["GET"], tags=["operation"], responses=problems.RESPONSES)
    app.add_api_route("/config.json", _config, methods=["GET"], include_in_schema=False, dependencies=[Depends(reader)])
    app.router.routes += [
        *api.ROUTES, *metrics.router().routes, *search.router(services).routes, *protocols.routes(services),
        *pages.routes(services, site),
    ]  # fmt: skip
    app.mount("/", files)  # last: it has every other path
    return app


def _health(services: Shared) -> dict[str, str]:
    """Answer while the server can read its registry and its database."""
    with services.database.reading() as session:
        session.connection().exec_driver_sql("SELECT 1")
    return {"status": "ok", "registry": services.registry.config.name}


def _config(services: Shared, request: Request) -> Response:
    """Return config.json of the folder, with the places of API and search: a folder needs no change to get a server."""
    document = json.loads((services.configuration.data / "config.json").read_bytes())
    document |= {"publish": API.removeprefix("/"), "search": search.PLACE}
    body = json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")

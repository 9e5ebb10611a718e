"""What Prometheus reads at ``/metrics``, counted in this process. A label never has what a client has chosen."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import func, select

from skillpm_registry.access import Shared, Writer
from skillpm_registry.identity import Right
from skillpm_registry.membership import REGISTRY, Role, demand_role
from skillpm_registry.problems import RESPONSES
from skillpm_registry.services import Services
from skillpm_registry.tables import Upload

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_SECONDS = (0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 30.0)


class Metrics:
    """The counters of one application.

    Args:
        services: of this process.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        labels = ("method", "route", "status")
        self._requests = Counter("skillpm_requests", "Answered requests.", labels, registry=self._registry)
        self._seconds = Histogram(
            "skillpm_request_seconds", "Seconds until an answer ended.", ("route",), buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._bytes = Counter("skillpm_sent_bytes", "Bytes of bodies that were sent.", registry=self._registry)
        skills = Gauge("skillpm_skills", "Skills in the registry.", registry=self._registry)
        skills.set_function(services.catalogue.count)
        uploads = Gauge("skillpm_uploads", "Uploads by their state.", ("state",), registry=self._registry)
        for state in ("open", "staged", "waiting"):
            uploads.labels(state).set_function(partial(self._uploads, state))

    def _uploads(self, state: str) -> float:
        with self._services.database.reading() as session:
            return float(session.scalar(select(func.count()).where(Upload.state == state)) or 0)

    def answered(self, scope: Any, status: int, size: int, seconds: float) -> None:
        """Count an answer. Its route is the pattern of its address; all static files are one route."""
        route = getattr(scope.get("route"), "path", "files")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._bytes.inc(size)

    def router(self) -> APIRouter:
        """Return the route of the metrics."""
        routes = APIRouter(tags=["operation"], responses=RESPONSES)

        @routes.get("/metrics", response_class=Response)
        def metrics(services: Shared, identity: Writer) -> Response:
            """Return the counters of this process, for owners of the registry; a token that only reads is enough."""
            with services.database.reading() as session:
                demand_role(session, identity, REGISTRY, Role.OWNER, Right.READ)
            return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

        return routes

"""The pages for owners: the releases that wait for them, and what each would change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from skillpm.layout.tree import MappingTree
from skillpm.storage.archive import limits_of, read_archive
from skillpm_registry import approval
from skillpm_registry.access import identity_or_none
from skillpm_registry.identity import Identity, unauthorized
from skillpm_registry.pages.difference import changes
from skillpm_registry.pages.rendering import Pages
from skillpm_registry.publishing import archive_bytes
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services
from skillpm_registry.tables import Upload


def router(services: Services, pages: Pages) -> APIRouter:
    """Return the routes of the pages."""
    routes = reading_router("pages", shown=False)

    @routes.get("/approvals")
    def waiting(request: Request) -> Response:
        """Show what waits. Raises ApiError 401, for which a browser asks for a token."""
        rows = [_shown(*item) for item in approval.waiting(services, _owner(request))]
        return pages.answer(request, lambda: ("approvals.html.j2", {"waiting": rows}), keep=False)

    @routes.get("/approvals/{number}")
    def one(request: Request, number: str) -> Response:
        """Show what a waiting release would change. Raises ApiError 401, 404 or 409."""
        upload, account = approval.waiting_one(services, _owner(request), number)
        page = services.catalogue.page(upload.name)
        before = page.shown() if page else None
        old = services.catalogue.tree(upload.name, before) if before else MappingTree({})
        found = changes(
            old,
            read_archive(archive_bytes(services, number), limits_of((upload.release or {}).get("adapter"))),
        )
        values = {"item": _shown(upload, account), "changes": found, "before": before.version if before else ""}
        return pages.answer(request, lambda: ("approval.html.j2", values), keep=False)

    return routes


def _owner(request: Request) -> Identity:
    identity = identity_or_none(request)
    if identity is None:
        raise unauthorized("this page is for owners: it needs a token")
    return identity


def _shown(upload: Upload, account: str) -> dict[str, Any]:
    release = upload.release or {}
    return {
        "id": upload.id, "name": upload.name, "version": upload.version, "account": account,
        "summary": release.get("summary", ""), "job": upload.publisher,
        "expires": datetime.fromtimestamp(upload.expires, UTC).isoformat(timespec="seconds"),
    }  # fmt: skip

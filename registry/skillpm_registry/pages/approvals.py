"""The pages for owners: the releases that wait for them, and what each would change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from skillpm.layout.tree import MappingTree, Tree
from skillpm.storage.archive import limits_of, read_archive
from skillpm_registry import approval
from skillpm_registry.pages.account import logged_in
from skillpm_registry.pages.difference import changes
from skillpm_registry.pages.file_view import file_values
from skillpm_registry.pages.rendering import Pages
from skillpm_registry.problems import ApiError
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services
from skillpm_registry.tables import Upload
from skillpm_registry.uploads import archive_bytes


def router(services: Services, pages: Pages) -> APIRouter:
    """Return the routes of the pages."""
    routes = reading_router("pages", shown=False)

    @routes.get("/approvals")
    def waiting(request: Request) -> Response:
        """Show what waits. Raises ApiError 401, for which a browser asks for a token."""
        rows = [_shown(*item) for item in approval.waiting(services, logged_in(request))]
        return pages.answer(request, lambda: ("approvals.html.j2", {"waiting": rows}), keep=False)

    @routes.get("/approvals/{number}")
    def one(request: Request, number: str) -> Response:
        """Show what a waiting release would change. Raises ApiError 401, 404 or 409."""
        upload, account = approval.waiting_one(services, logged_in(request), number)
        page = services.catalogue.page(upload.name)
        before = page.shown() if page else None
        found = changes(
            services.catalogue.tree(upload.name, before) if before else MappingTree({}), _tree(services, upload)
        )
        values = {"item": _shown(upload, account), "changes": found, "before": before.version if before else ""}
        return pages.answer(request, lambda: ("approval.html.j2", values), keep=False)

    @routes.get("/approvals/{number}/archive")
    def archive(request: Request, number: str) -> Response:
        """Send the archive of a waiting release, for what a page cannot show. Raises ApiError like ``one``."""
        upload, _ = approval.waiting_one(services, logged_in(request), number)
        name = f"{upload.name.replace('/', '-')}-{upload.version}.tar.gz"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(archive_bytes(services, number), headers=headers, media_type="application/gzip")

    @routes.get("/approvals/{number}/files/{path:path}")
    def file(request: Request, number: str, path: str) -> Response:
        """Show a file of a waiting release. Raises ApiError like ``one``."""
        upload, _ = approval.waiting_one(services, logged_in(request), number)
        tree, place = _tree(services, upload), f"/approvals/{number}"
        if path not in tree.paths():
            raise ApiError(404, "not-found", "the release has no such file", "go back to its list of files")
        values = file_values(tree, path, name=upload.name, version=upload.version, back=place)
        return pages.answer(request, lambda: ("file.html.j2", values), keep=False)

    return routes


def _tree(services: Services, upload: Upload) -> Tree:
    return read_archive(archive_bytes(services, upload.id), limits_of((upload.release or {}).get("adapter")))


def _shown(upload: Upload, account: str) -> dict[str, Any]:
    release = upload.release or {}
    return {
        "id": upload.id, "name": upload.name, "version": upload.version, "account": account,
        "summary": release.get("summary", ""), "job": upload.publisher,
        "allow": upload.wish["allow"], "like": upload.wish["like"],
        "expires": datetime.fromtimestamp(upload.expires, UTC).isoformat(timespec="seconds"),
    }  # fmt: skip

"""ClawHub's protocol, version 1, below ``/clawhub``: search, list, read and download.

A slug has no owner; a client adds ``ownerHandle`` where it knows one. Times are milliseconds since 1970.

Source: openclaw/clawhub, http-api, and the schemas of its command 0.23.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse

from skillpm.layout.tree import Tree, UnreadableFileError, file_digest, file_size
from skillpm.model.name import is_name
from skillpm.model.release import Page, Release
from skillpm_registry.access import Number
from skillpm_registry.catalogue.catalogue import Catalogue, Row
from skillpm_registry.catalogue.search import Query as Wanted
from skillpm_registry.catalogue.search import search
from skillpm_registry.protocols.releases import available, page_of, release_of, tree_of, zipped
from skillpm_registry.protocols.semantic import semantic
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

_LARGEST = 200 << 10  # bytes of a file that is shown
_COMPARED = 20  # releases with which an installed folder is compared

Owner = Annotated[str, Query(alias="ownerHandle", max_length=64)]
Limit = Annotated[int, Query(ge=1, le=200)]


def router(services: Services) -> APIRouter:
    """Return the routes of the protocol."""
    routes = reading_router("clawhub", "/clawhub/api/v1")
    _add_lists(routes, services.catalogue)
    _add_releases(routes, services)
    return routes


def _row(catalogue: Catalogue, slug: str, owner: str) -> Row:
    """Return a skill by its slug. Raises HTTPException 404."""
    name = f"{owner}/{slug}" if owner else slug
    row = (catalogue.row(name) if owner else catalogue.plain(slug)) if is_name(name) else None
    if row is None:
        raise HTTPException(404, f"there is no skill `{name[:80]}`")
    return row


def _add_lists(routes: APIRouter, catalogue: Catalogue) -> None:
    @routes.get("/search")
    def find(q: str, limit: Limit = 25) -> dict[str, Any]:
        """Search skills."""
        rows = search(catalogue, Wanted(q, adapters=False, limit=limit)).rows
        return {"results": [_hit(row) | {"score": round(1 / (1 + place), 4)} for place, row in enumerate(rows)]}

    @routes.get("/skills")
    def skills(limit: Limit = 50, cursor: Number = 0, prefix: str = "") -> dict[str, Any]:
        """List skills, the newest first."""
        found = search(catalogue, Wanted(prefix, adapters=False, limit=limit, start=cursor))
        following = cursor + limit if cursor + limit < found.total else None
        return {"items": [_item(row) for row in found.rows], "nextCursor": following and str(following)}

    @routes.get("/skills/{slug}")
    def skill(slug: str, owner: Owner = "") -> dict[str, Any]:
        """Return one skill."""
        row = _row(catalogue, slug, owner)
        handle = row.name.rpartition("/")[0] or None
        item = _item(row)
        return {
            "skill": item, "latestVersion": item["latestVersion"], "metadata": None,
            "owner": {"handle": handle, "displayName": handle, "image": None},
        }  # fmt: skip


def _add_releases(routes: APIRouter, services: Services) -> None:
    catalogue, url = services.catalogue, services.configuration.url

    def page(slug: str, owner: str) -> Page:
        return page_of(catalogue, _row(catalogue, slug, owner).name)

    def chosen(found: Page, version: str) -> Release:
        listed = found.shown()
        return release_of(found, version or (listed.version if listed else ""))

    @routes.get("/skills/{slug}/install")
    def install(slug: str, owner: Owner = "") -> dict[str, Any]:
        """Say what an install of the newest release downloads."""
        version = semantic(chosen(page(slug, owner), "").version)
        wanted = {"slug": slug, "version": version} | ({"ownerHandle": owner} if owner else {})
        archive = {"version": version, "downloadUrl": f"{url}/clawhub/api/v1/download?{urlencode(wanted)}"}
        return {"ok": True, "slug": slug, "installKind": "archive", "archive": archive}

    @routes.get("/skills/{slug}/versions")
    def versions(slug: str, owner: Owner = "") -> dict[str, Any]:
        """List the releases of a skill."""
        return {"items": [_version(release) for release in available(page(slug, owner))], "nextCursor": None}

    @routes.get("/skills/{slug}/versions/{version}")
    def one(slug: str, version: str, owner: Owner = "") -> dict[str, Any]:
        """Return one release with its files."""
        found = page(slug, owner)
        release = release_of(found, version)
        tree = tree_of(catalogue, found.name, release)
        files = [
            {"path": path, "size": file_size(tree, path), "sha256": file_digest(tree, path)} for path in tree.paths()
        ]
        return {"version": _version(release) | {"files": files}, "skill": {"slug": slug, "displayName": slug}}

    @routes.get("/skills/{slug}/file")
    def file(slug: str, path: str, version: str = "", owner: Owner = "") -> Response:
        """Return a text file."""
        found = page(slug, owner)
        try:
            data = tree_of(catalogue, found.name, chosen(found, version)).read(path)
        except UnreadableFileError:
            raise HTTPException(404, f"there is no file `{path[:80]}`") from None
        if len(data) > _LARGEST or b"\0" in data:
            raise HTTPException(415, "the file is not a short text")
        return PlainTextResponse(data, headers={"X-Content-Type-Options": "nosniff"})

    @routes.get("/resolve")
    def resolve(slug: str, hash: str = "", owner: Owner = "") -> dict[str, Any]:  # noqa: A002  the name in the protocol
        """Say which release an installed folder is."""
        found = page(slug, owner)
        releases = available(found)[:_COMPARED] if hash else []
        trees = ((release, tree_of(catalogue, found.name, release)) for release in releases)
        match = next((release for release, tree in trees if _fingerprint(tree) == hash), None)
        return {
            "match": {"version": semantic(match.version)} if match else None,
            "latestVersion": {"version": semantic(chosen(found, "").version)},
        }

    @routes.get("/download")
    def download(slug: str, version: str = "", owner: Owner = "") -> Response:
        """Send a release as a zip."""
        found = page(slug, owner)
        release = chosen(found, version)
        tree = tree_of(catalogue, found.name, release)
        services.downloads.count(release.archive)
        return Response(zipped(tree), media_type="application/zip")


def _milliseconds(published: str | None) -> int:
    try:
        return int(datetime.fromisoformat(published or "").timestamp() * 1000)
    except ValueError:
        return 0


def _hit(row: Row) -> dict[str, Any]:
    owner, _, slug = row.name.rpartition("/")
    return {
        "slug": slug, "displayName": slug, "summary": row.summary, "version": semantic(row.version),
        "updatedAt": _milliseconds(row.published), "ownerHandle": owner or None,
    }  # fmt: skip


def _item(row: Row) -> dict[str, Any]:
    slug, version, time = row.name.rpartition("/")[2], semantic(row.version), _milliseconds(row.published)
    return {
        "slug": slug, "displayName": slug, "summary": row.summary, "topics": list(row.facts.keywords),
        "tags": {"latest": version}, "stats": {}, "createdAt": time, "updatedAt": time,
        "latestVersion": {"version": version, "createdAt": time, "changelog": ""}, "metadata": None,
    }  # fmt: skip


def _version(release: Release) -> dict[str, Any]:
    return {
        "version": semantic(release.version), "createdAt": _milliseconds(release.published), "changelog": "",
    }  # fmt: skip


def _fingerprint(tree: Tree) -> str:
    """Return what the client computes of an installed folder, without files and folders that begin with a dot."""
    paths = [path for path in tree.paths() if not any(part.startswith(".") for part in path.split("/"))]
    lines = (f"{path}:{file_digest(tree, path)}" for path in sorted(paths, key=str.casefold))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

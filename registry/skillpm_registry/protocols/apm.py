"""apm's registry protocol, version 1, below ``/apm``: reading only.

A package there has an owner. A skill without one has the owner ``_``.

Source: microsoft/apm, registry-http-api, v1.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response

from skillpm.errors import SkillpmError
from skillpm.model.name import is_name
from skillpm_registry.catalogue.search import Query as Wanted
from skillpm_registry.catalogue.search import search
from skillpm_registry.protocols.releases import EPOCH, available, page_of, release_of, served_digest
from skillpm_registry.protocols.semantic import semantic
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

NOBODY = "_"


def router(services: Services) -> APIRouter:
    """Return the routes of the protocol."""
    routes, catalogue = reading_router("apm", "/apm/v1"), services.catalogue

    @routes.get("/packages/{owner}/{repo}/versions")
    def versions(owner: str, repo: str) -> dict[str, Any]:
        """List the releases of a skill."""
        page = page_of(catalogue, _name(owner, repo))
        return {
            "package": f"{owner}/{repo}",
            "versions": [
                {
                    "version": semantic(release.version),
                    "digest": f"sha256:{served_digest(catalogue, release.archive)}",
                    "published_at": release.published or EPOCH,
                    "size_bytes": release.size,
                }
                for release in available(page)
                if release.usable
            ],
        }

    @routes.get("/packages/{owner}/{repo}/versions/{version}/download")
    def download(owner: str, repo: str, version: str) -> Response:
        """Send the archive of a release."""
        page = page_of(catalogue, _name(owner, repo))
        release = release_of(page, version)
        try:
            data = catalogue.folder.archive(page.name, release)
        except SkillpmError as error:
            raise HTTPException(404, error.message) from None
        services.downloads.count(release.archive)
        return Response(data, headers={"Cache-Control": "max-age=86400, immutable"}, media_type="application/gzip")

    @routes.get("/search")
    def find(
        q: Annotated[str, Query(max_length=1000)],
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        offset: Annotated[int, Query(ge=0, le=900)] = 0,
    ) -> dict[str, Any]:
        """Search skills."""
        found = search(catalogue, Wanted(q, adapters=False, limit=limit, start=offset))
        results = [
            {
                "id": row.name if "/" in row.name else f"{NOBODY}/{row.name}", "latest_version": semantic(row.version),
                "description": row.summary, "author": row.name.rpartition("/")[0], "tags": list(row.facts.keywords),
                "type": "skill", "score": round(1 / (1 + place), 4),
            }
            for place, row in enumerate(found.rows, offset)
        ]  # fmt: skip
        return {"query": q, "total": found.total, "results": results}

    return routes


def _name(owner: str, repo: str) -> str:
    name = repo if owner == NOBODY else f"{owner}/{repo}"
    if not is_name(name):
        raise HTTPException(404, f"there is no skill `{name[:80]}`")
    return name

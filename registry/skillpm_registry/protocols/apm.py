"""apm's registry protocol, version 1, below ``/apm``.

A package there has an owner. A skill without one has the owner ``_``. A package that is published has one skill, in
``.apm/skills/NAME``; README, CHANGELOG and LICENSE beside it become the skill's where it has none.

Source: microsoft/apm, registry-http-api, v1.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from skillpm.errors import SkillpmError, UsageError
from skillpm.layout.filenames import ADAPTER
from skillpm.model.name import is_name
from skillpm.storage.archive import read_package
from skillpm_registry.access import Writer
from skillpm_registry.catalogue.search import Query as Wanted
from skillpm_registry.catalogue.search import search
from skillpm_registry.protocols import publication
from skillpm_registry.protocols.publication import Sent
from skillpm_registry.protocols.releases import EPOCH, available, page_of, release_of, served_digest
from skillpm_registry.protocols.semantic import semantic
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

NOBODY = "_"
_DOCUMENTS = ("README.md", "CHANGELOG.md", "LICENSE")


def router(services: Services) -> APIRouter:
    """Return the routes of the protocol."""
    routes = reading_router("apm", "/apm/v1")
    _add_packages(routes, services)
    _add_publishing(routes, services)
    return routes


def _add_packages(routes: APIRouter, services: Services) -> None:
    catalogue = services.catalogue

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


def _add_publishing(routes: APIRouter, services: Services) -> None:
    @routes.put(
        "/packages/{owner}/{repo}/versions/{version}",
        status_code=201,
        responses={202: {"description": "It waits for an owner or the gate."}},
    )
    async def publish(
        owner: str, repo: str, version: str, request: Request, identity: Writer, answer: Response
    ) -> dict[str, str]:
        """Publish the skill in a package: 201, or 202 while it waits for an owner or the gate."""
        data, name = await request.body(), _name(owner, repo)
        state = await publication.publish(services, identity, lambda: Sent(name, version, _skill(data, repo)))
        answer.status_code = 201 if state == "live" else 202
        return {
            "package": f"{owner}/{repo}",
            "version": version,
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
        }


def _skill(data: bytes, name: str) -> dict[str, bytes]:
    """Return the files of the skill in a package. Raises UsageError, and IntegrityError for what is not an archive."""
    tree = read_package(data)
    paths, place = tree.paths(), f".apm/skills/{name}/"
    beside = [path for path in paths if path.startswith(".apm/") and not path.startswith(place)]
    beside += [path for path in paths if path == ADAPTER]  # with it, a gigabyte would be read
    if beside or f"{place}SKILL.md" not in paths:
        raise UsageError(
            f"the package has {beside[0] if beside else f'no {place}SKILL.md'}",
            hint=f"a package of this registry has one skill, in {place}, and nothing else in .apm/",
        )
    skill = {path.removeprefix(place): tree.read(path) for path in paths if path.startswith(place)}
    return {**{path: tree.read(path) for path in paths if path in _DOCUMENTS}, **skill}


def _name(owner: str, repo: str) -> str:
    name = repo if owner == NOBODY else f"{owner}/{repo}"
    if not is_name(name):
        raise HTTPException(404, f"there is no skill `{name[:80]}`")
    return name

"""``.well-known/agent-skills``: the skills as archives, for ``npx skills`` and every client of that discovery.

There are three indexes: of one skill, of an owner, and of the whole registry. A name in them has no owner, because the
format has none. So the index of the registry has a name without an owner, or with the only owner that has it; of a
name that several owners have, it has none, and their own indexes have it.

Source: Agent Skills Discovery 0.2.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, HTTPException

from skillpm.index.paths import archive_path
from skillpm.index.well_known import INDEX, SCHEMA
from skillpm.model.name import is_name
from skillpm_registry.catalogue.row import Row
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes of the discovery."""
    routes, catalogue, url = reading_router("well-known"), services.catalogue, services.configuration.url

    @routes.get(f"/{INDEX}")
    def whole() -> dict[str, Any]:
        """Return the skills of the registry."""
        return _index(url, plain_names(catalogue.rows()).values())

    @routes.get(f"/owner/{{owner}}/{INDEX}")
    def of_owner(owner: str) -> dict[str, Any]:
        """Return the skills of one owner."""
        return _index(url, catalogue.of_owner(owner) if owner and is_name(owner) else [])

    @routes.get(f"/skill/{{name:path}}/{INDEX}")
    def one(name: str) -> dict[str, Any]:
        """Return one skill."""
        row = catalogue.row(name) if is_name(name) else None
        return _index(url, [row] if row else [])

    return routes


def plain_names(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the skills that can be told apart without their owners, by their names without an owner."""
    usable = [row for row in rows if row.for_others]
    count = Counter(row.name.rpartition("/")[2] for row in usable)
    free = {row.name for row in usable}
    return {
        last: row
        for row in usable
        if (last := row.name.rpartition("/")[2]) and (row.name == last or (count[last] == 1 and last not in free))
    }


def _index(url: str, rows: Iterable[Row]) -> dict[str, Any]:
    """Return an index. Raises HTTPException 404 if it would be empty, so that a client looks no further."""
    skills = [
        {
            "name": row.name.rpartition("/")[2],
            "type": "archive",
            "description": row.summary or row.name,
            "url": f"{url}/{archive_path(row.archive)}",
            "digest": f"sha256:{row.served}",
        }
        for row in rows
        if row.for_others
    ]
    if not skills:
        raise HTTPException(404, "there is no skill here")
    return {"$schema": SCHEMA, "skills": skills}

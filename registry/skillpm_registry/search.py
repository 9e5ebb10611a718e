"""The search for programs: ``skillpm search`` asks it where config.json names it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query

from skillpm_registry.catalogue.row import Row
from skillpm_registry.catalogue.search import FILTERS, Found, search
from skillpm_registry.catalogue.search import Query as Wanted
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

PLACE = "search.json"  # relative to the registry's address, as config.json names it
Filter = Literal[
    "verifier", "suite", "signed", "adapter", "measured", "no-network", "no-programs"
]  # the names of FILTERS
MOST = 100  # skills of one answer


def router(services: Services) -> APIRouter:
    """Return the routes of the search."""
    routes = reading_router("search")

    @routes.get(f"/{PLACE}")
    async def find(
        q: Annotated[str, Query(max_length=1000)] = "",
        has: Annotated[list[Filter] | None, Query(max_length=len(FILTERS))] = None,
        owner: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=MOST)] = 20,
        start: Annotated[int, Query(ge=0, le=900)] = 0,
    ) -> dict[str, Any]:
        """Return skills, best first, in the form of listing.json with more keys.

        Every word of `q` is plain text and the beginning of a word. `has` is any of verifier, suite, signed, adapter,
        measured, no-network and no-programs.
        """
        wanted = Wanted(q, tuple(has or ()), owner, limit, start)
        return answer(await run_sync(search, services.catalogue, wanted))

    return routes


def answer(found: Found) -> dict[str, Any]:
    """Return the document of an outcome."""
    return {
        "listing": 1,
        "skills": [_skill(row) for row in found.rows],
        "total": found.total,
        "read_as": found.read_as,
        "some_words": found.some,
        "by_meaning": found.meant,
    }


def _skill(row: Row) -> dict[str, Any]:
    facts = row.facts
    return {
        "name": row.name, "version": row.version, "summary": row.summary, "published": row.published or None,
        "keywords": facts.keywords, "license": facts.license or None, "tools": sorted(facts.tools),
        "verifier": facts.verified, "suites": facts.suites, "signed": row.signed,
        "permissions": {"network": facts.network, "run": facts.run},
    }  # fmt: skip

"""Claude Code's ``marketplace.json``: every skill as a plugin, whose source is its git repository here."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter

from skillpm_registry.catalogue.row import Row
from skillpm_registry.protocols.git import plugin_name
from skillpm_registry.protocols.semantic import semantic
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

_WORDS = re.compile(r"[^a-z0-9]+")


def marketplace_name(registry: str) -> str:
    """Return the name under which Claude Code knows a registry: lower-case words with hyphens."""
    return _WORDS.sub("-", registry.lower()).strip("-") or "skills"


def router(services: Services) -> APIRouter:
    """Return the routes of the marketplace."""
    routes, url = reading_router("claude-code"), services.configuration.url

    @routes.get("/marketplace.json")
    @routes.get("/.claude-plugin/marketplace.json")
    def marketplace() -> dict[str, Any]:
        """Return every skill as a plugin. A name that another skill has already as a plugin is left out."""
        name = services.registry.config.name
        plugins: dict[str, dict[str, Any]] = {}
        for row in services.catalogue.rows():
            if row.for_others:
                plugins.setdefault(plugin_name(row.name), _plugin(url, row))
        return {
            "name": marketplace_name(name),
            "owner": {"name": name},
            "metadata": {"description": f"The skills of {name}, {url}"},
            "plugins": list(plugins.values()),
        }

    return routes


def _plugin(url: str, row: Row) -> dict[str, Any]:
    facts = row.facts
    plugin: dict[str, Any] = {
        "name": plugin_name(row.name),
        "source": {"source": "url", "url": f"{url}/git/{row.name}.git", "ref": f"v{row.version}"},
        "description": row.summary,
        "version": semantic(row.version),
        "homepage": f"{url}/skill/{row.name}",
    }
    more = {"license": facts.license, "keywords": list(facts.keywords), "repository": facts.repository}
    return plugin | {key: value for key, value in more.items() if value}

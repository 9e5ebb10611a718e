"""Claude Code's ``marketplace.json``: every skill as a plugin."""

from __future__ import annotations

import re

_WORDS = re.compile(r"[^a-z0-9]+")


def marketplace_name(registry: str) -> str:
    """Return the name under which Claude Code knows a registry: lower-case words with hyphens."""
    return _WORDS.sub("-", registry.lower()).strip("-") or "skills"


def plugin_name(name: str) -> str:
    """Return the name of a skill as a plugin: it has no owner, so an owner becomes the first word."""
    return name.replace("/", "-")

"""Where pages and archives stand in a registry."""

from __future__ import annotations


def page_path(name: str) -> str:
    """Return the path of a name's page in a registry."""
    return f"skills/{name}.json"


def archive_path(digest: str) -> str:
    """Return the path of an archive in a registry."""
    return f"archives/{digest[:2]}/{digest[2:]}.tar.gz"

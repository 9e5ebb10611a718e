"""Which new names are refused: those that people may take for a name that exists."""

from __future__ import annotations

from pathlib import Path

from skillpm.index.directory import pages_below
from skillpm.model.name import look_alike, scope_of
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.problems import ApiError


def is_new(root: Path, name: str) -> bool:
    """Is nothing published in the scope of a name? For ``owner/name`` that is any skill of the owner."""
    scope = scope_of(name)
    return not (root / "skills" / (scope if scope.endswith("/") else f"{scope}.json")).exists()


def refuse_look_alike(catalogue: Catalogue, name: str, allowed: str) -> None:
    """Raise ApiError 409 for a new name that looks like a published one, or a new owner that looks like another.

    Args:
        catalogue: of the registry.
        name: of a skill that is not published.
        allowed: the published name that it may look like; of ``owner/skill`` the owner alone counts.
    """
    apart = (scope_of(name), scope_of(allowed))
    other = look_alike(name, (other for other in catalogue.beside(name) if scope_of(other) not in apart))
    if other is not None:
        shown = scope_of(other)
        near = _published(catalogue.folder.root, shown) if shown.endswith("/") else other
        raise ApiError(
            409,
            "name-looks-alike",
            f"`{name}` looks like `{shown}`, which is published here",
            f"choose another name; if both names are right, publish with `--like {near}`",
            near=near,
        )


def _published(root: Path, scope: str) -> str:
    """Return the first skill of an owner, ``OWNER/``."""
    return min((name for name, _ in pages_below(root / "skills" / scope, scope)), default=scope)

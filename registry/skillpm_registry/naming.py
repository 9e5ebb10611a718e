"""Which new names are refused: those that people may take for a name that exists."""

from __future__ import annotations

from pathlib import Path

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
        allowed: the published name that it may look like.
    """
    others = (other for other in catalogue.beside(name) if scope_of(other) != scope_of(name) and other != allowed)
    other = look_alike(name, others)
    if other is not None:
        shown = scope_of(other)
        raise ApiError(
            409,
            "name-looks-alike",
            f"`{name}` looks like `{shown}`, which is published here",
            f"choose another name; if both names are right, publish with `--like {other}`",
            near=other,
        )

"""What agents find in their folders: the skills of skillpm and of everybody else.

A link is followed only where it leads into the same root or into the store, as ours do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from skillpm.layout.listing import name_and_description
from skillpm.model.catalog import Entry

__all__ = ["entries_in"]

_HEAD = 1 << 17  # bytes of a SKILL.md that are read for its frontmatter


def entries_in(root: Path, folder: str, store: Path) -> Iterator[Entry]:
    """Yield what an agent would list of one of its folders; what cannot be read is skipped, as agents do.

    Args:
        root: a project or a home folder.
        folder: relative to it.
        store: the other place to which a link may lead.
    """
    inside = (root.resolve(), store.resolve())
    try:
        with os.scandir(root / folder) as found:
            names = sorted(item.name for item in found if not item.name.startswith("."))
    except OSError:
        return
    for name in names:
        listed = _listed(root / folder / name, inside)
        if listed is not None:
            yield Entry(listed[0] or name, listed[1], str(root / folder / name))


def _listed(folder: Path, inside: tuple[Path, ...]) -> tuple[str, str] | None:
    for name in ("SKILL.md", "skill.md"):
        try:
            path = (folder / name).resolve()
            if path.is_file() and any(path.is_relative_to(place) for place in inside):
                with path.open("rb") as file:
                    return name_and_description(file.read(_HEAD).decode("utf-8", errors="replace"))
        except (OSError, RuntimeError):  # a link that leads to itself
            return None
    return None

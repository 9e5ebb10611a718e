"""What an install or an uninstall did, and the short way to see that there is nothing to do.

That short way reads no document but the record and the lock's digest, so that it costs little more than hashing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.settings import Settings
from skillpm.storage.files import read_text
from skillpm.storage.links import Occupant, Places
from skillpm.storage.record import LinkKind, read_record, text_digest
from skillpm.storage.store import Store

__all__ = ["Installation", "SkillChange", "unchanged"]


@dataclass(frozen=True, slots=True)
class SkillChange:
    """What happened to one skill: ``added``, ``replaced``, ``removed`` or ``kept``."""

    name: str
    change: str
    version: str
    previous: str | None
    source: str
    tree: str

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "name": self.name,
            "change": self.change,
            "version": self.version,
            "previous": self.previous,
            "source": self.source,
            "tree": self.tree,
        }


@dataclass(frozen=True, slots=True)
class Installation:
    """The outcome: every skill of the project, where they were put, and what is odd."""

    skills: tuple[SkillChange, ...]
    folders: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    dry_run: bool = False

    def count(self, change: str) -> int:
        """Return how many skills had this change."""
        return sum(1 for skill in self.skills if skill.change == change)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "skills": [skill.document() for skill in self.skills],
            "folders": list(self.folders),
            "warnings": list(self.warnings),
            "dry_run": self.dry_run,
        }


def unchanged(settings: Settings, folders: Sequence[str], link: LinkKind | None) -> Installation | None:
    """Return the installation where lock, store and agents' folders agree to the byte already, else None.

    Raises:
        DocumentError: the record is damaged.
        StorageError: the lock cannot be read.
    """
    if not settings.lock_path.is_file():
        return None
    record, text = read_record(settings.project), read_text(settings.lock_path)
    if record.lock != text_digest(text) or not set(folders) <= set(record.agents) or link not in (None, record.link):
        return None
    store = Store(settings.store)
    places = Places(settings.project, store)
    if any(places.leftovers(folder) for folder in record.agents):
        return None
    if not all(places.occupant(item, item) is Occupant.WANTED for item in record.placements):
        return None
    if not all(store.verify(tree) for tree in {item.tree for item in record.placements}):
        return None
    entries = json.loads(text)["skills"]  # a text that we wrote ourselves: the record knows its digest
    skills = tuple(
        SkillChange(item["name"], "kept", item["version"], item["version"], item["source"], item["tree"])
        for item in entries
    )
    return Installation(skills, record.agents)

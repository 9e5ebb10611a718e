"""The outcome of an install or an uninstall, and the fast check that there is nothing to do.

The fast check reads only the record and the lock's digest, so it costs little more than hashing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillpm.index.page_cache import PAGES, PageCache
from skillpm.index.paths import page_path
from skillpm.model.source import Source
from skillpm.settings import Settings
from skillpm.storage.files import read_text
from skillpm.storage.links import Backup, Occupant, Places
from skillpm.storage.record import LinkKind, read_record, text_digest
from skillpm.storage.store import Store, folder_digest
from skillpm.storage.usage import note_project

if TYPE_CHECKING:
    from skillpm.ops.project.places import LeftOut


@dataclass(frozen=True, slots=True)
class SkillChange:
    """The change of one skill: ``added``, ``replaced``, ``removed``, ``kept`` or ``placed``.

    ``placed`` means that its content stays, and is put into a folder that lacks it. ``previous`` is the version that
    was there before.
    """

    name: str
    change: str
    version: str
    previous: str | None
    source: str
    tree: str


@dataclass(frozen=True, slots=True)
class Installation:
    """The outcome.

    Attributes:
        left_out: what ``--all`` could not take.
        backups: edited and foreign folders that made way.
        notes: sentences about the adapters.
        files: the documents that change, skillpm.yaml and skillpm.lock.
    """

    skills: tuple[SkillChange, ...]
    folders: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    left_out: tuple[LeftOut, ...] = ()
    backups: tuple[Backup, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def count(self, change: str) -> int:
        """Return the number of skills with this change."""
        return sum(1 for skill in self.skills if skill.change == change)


def unchanged(
    settings: Settings, folders: Sequence[str], link: LinkKind | None, *, frozen: bool = False
) -> Installation | None:
    """Return the installation if everything is as the last run left it, to the byte, else None.

    Compares settings, project file, lock, store, agents' folders and, unless ``frozen``, the required skill folders. A
    recall that this machine knows of is a reason to look.

    Raises:
        DocumentError: the record is damaged.
        StorageError: the lock cannot be read.
    """
    if not settings.lock_path.is_file():
        return None
    record, text = read_record(settings.project), read_text(settings.lock_path)
    if record.lock != text_digest(text) or not set(folders) <= set(record.agents) or link not in (None, record.link):
        return None
    if record.settings != settings.digest():
        return None
    store = Store(settings.store)
    note_project(store.root, settings.project)  # a moved or copied project is noted under its old path only
    places = Places(settings.root, store, settings.project)
    if places.leftovers(record.agents):
        return None
    if not all(places.standing(item, item).occupant is Occupant.WANTED for item in record.placements):
        return None
    entries = json.loads(text.removeprefix("\ufeff"))["skills"]  # valid, because the record has its digest
    if not entries:
        return None  # a killed uninstall left the record, which an install removes
    adapters = {item["tree"] for item in entries if "adapter" in item}
    if not all(store.verify(tree) for tree in {item.tree for item in record.placements} | adapters):
        return None
    placed = [item for item in entries if "adapter" not in item]
    wanted = {(agent, item["name"], item["tree"]) for agent in record.agents for item in placed}
    stands = {(item.folder.rpartition("/")[0], item.skill, item.tree) for item in record.placements}
    if wanted != stands:  # a record of a project is not trusted
        return None
    if settings.project_text is not None and not frozen and not _folders_are_as_locked(settings.project, entries):
        return None
    if any(_is_recalled(settings, item) for item in entries):
        return None  # a person learns it from a run that looks
    skills = tuple(
        SkillChange(item["name"], "kept", item["version"], item["version"], item["source"], item["tree"])
        for item in entries
    )
    return Installation(skills, record.agents)


def _is_recalled(settings: Settings, entry: Mapping[str, Any]) -> bool:
    """Does the page of a locked release, as this machine has it, say what ``recall_warnings`` tells?

    It is read without its index, whose import takes as long as all else. A page that cannot be read says nothing.
    """
    source, path = Source.parse(entry["source"]), page_path(entry["name"])
    if not source.is_registry:
        return False
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        if "://" in source.place:
            cached = PageCache(settings.cache / PAGES).get(f"{source.place}/{path}")
            page = json.loads(cached.body) if cached else {}
        else:
            page = json.loads((settings.project / source.place / path).read_bytes())
        (release,) = [item for item in page["releases"] if item["version"] == entry["version"]]
        return bool(release["yanked"] or release["quarantined"] or page.get("status", "active") != "active")
    return False


def _folders_are_as_locked(project: Path, entries: Sequence[dict[str, Any]]) -> bool:
    """Do the folders that are required by path have the locked content?"""
    folders = ((Source.parse(item["source"]), item["tree"]) for item in entries)
    return all(folder_digest(project / source.place) == tree for source, tree in folders if source.editable)

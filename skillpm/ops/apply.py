"""Carries out a plan: agents' folders, then the record, and the lock last; a failure on the way takes all of it back.

Everything is written beside its place before the first name changes, so whatever a disk or a right can refuse is
refused while nothing has changed. Killed at any instant, the next run completes: each folder holds the old or the new,
whole, and folders are recognised as ours by what they hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.model.lock import Lock
from skillpm.resolve.plan import Plan
from skillpm.settings import Settings
from skillpm.storage.files import drafted, remove_drafts
from skillpm.storage.links import Places
from skillpm.storage.record import RECORD, LinkKind, Placement, Record, read_record, record_text, text_digest
from skillpm.storage.store import Store
from skillpm.storage.swap import Swap

__all__ = ["Linking", "apply", "linking"]


@dataclass(frozen=True, slots=True)
class Linking:
    """Where and how skills are put: folders relative to the project."""

    folders: tuple[str, ...]
    link: LinkKind


def linking(record: Record, folders: Iterable[str], link: LinkKind | None) -> Linking:
    """Return what was asked for, added to what the record says of earlier installs."""
    return Linking(tuple(dict.fromkeys((*folders, *record.agents))), link or record.link)


def apply(settings: Settings, store: Store, plan: Plan, to: Linking, *, force: bool = False) -> None:
    """Put the planned skills into agents' folders, take the removed ones away, write record and lock.

    The trees must be in the store, and the caller holds the project's lock.

    Raises:
        UsageError: a folder holds something that is not ours, or two skills want one folder; nothing has changed.
        StorageError: the disk refused; the lock is as it was.
    """
    places, record = Places(settings.project, store), read_record(settings.project)
    wanted = _placements(plan.lock, to)
    kept = {placement.folder for placement in wanted}
    gone = [item for item in record.placements if item.folder not in kept]
    text = plan.lock.text()
    documents = {
        settings.project / RECORD: record_text(Record(text_digest(text), to.folders, to.link, wanted)),
        settings.lock_path: text,
    }
    _remove_leftovers(places, to, documents)
    with Swap() as swap, contextlib.ExitStack() as drafts:
        for placement in wanted:
            places.put(placement, record.placement(placement.folder), swap, force=force)
        for placement in gone:
            places.take(placement, swap, force=force)
        puts = [drafts.enter_context(drafted(path, new)) for path, new in documents.items() if not _holds(path, new)]
        swap.commit()
        for put in puts:
            put()


def _remove_leftovers(places: Places, to: Linking, documents: Iterable[Path]) -> None:
    """Remove what killed runs have left; the caller holds the project's lock."""
    for folder in to.folders:
        places.remove_leftovers(folder)
    for path in documents:
        remove_drafts(path)


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() == text.encode()


def _placements(lock: Lock, to: Linking) -> tuple[Placement, ...]:
    """Return one placement for each skill and agent's folder; an owner is no part of a folder's name."""
    owners: dict[str, str] = {}
    for entry in lock.skills:
        folder = entry.name.rpartition("/")[2]
        other = owners.setdefault(folder, entry.name)
        if other != entry.name:
            raise UsageError(
                f"`{other}` and `{entry.name}` both need the folder `{folder}`",
                hint="agents know a skill by its folder: install only one of them",
            )
    return tuple(
        Placement(f"{folder}/{entry.name.rpartition('/')[2]}", entry.name, entry.tree, to.link)
        for folder in to.folders
        for entry in lock.skills
    )

"""Carries out a plan: store, then agents' folders, then the record, and the lock last.

Killed at any instant, the next run completes: the store and each folder hold the old or the new, whole, and folders are
recognised as ours by what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from skillpm.errors import UsageError
from skillpm.model.lock import Lock
from skillpm.resolve.plan import Plan
from skillpm.settings import Settings
from skillpm.storage.links import Places, refuse_outside
from skillpm.storage.lockfile import write_lock
from skillpm.storage.record import LinkKind, Placement, Record, read_record, text_digest, write_record
from skillpm.storage.store import Store
from skillpm.storage.usage import note_project

__all__ = ["Linking", "apply", "linking", "refused_links"]


@dataclass(frozen=True, slots=True)
class Linking:
    """Where and how skills are put: folders relative to the project."""

    folders: tuple[str, ...]
    link: LinkKind


def linking(record: Record, folders: Iterable[str], link: LinkKind | None) -> Linking:
    """Return what was asked for, added to what the record says of earlier installs."""
    return Linking(tuple(dict.fromkeys((*folders, *record.agents))), link or record.link)


def refused_links(to: Linking, placed: Iterable[Placement]) -> list[str]:
    """Say in one sentence where a link was asked for and something less was done."""
    less = [item for item in placed if item.link != to.link]
    if to.link == "copy" or not less:
        return []
    kinds = " and ".join(sorted({"copies" if item.link == "copy" else "junctions" for item in less}))
    return [f"symbolic links are refused here, so {len(less)} of the skills' folders are {kinds}"]


def apply(settings: Settings, store: Store, plan: Plan, to: Linking, *, force: bool = False) -> tuple[Placement, ...]:
    """Put the planned skills into agents' folders, take the removed ones away, write record and lock.

    Returns what was really done: where links were asked for and the system refused them, skills were copied.

    The trees must be in the store, and the caller holds the project's lock; where it has looked at the store before,
    it holds that as well, so that no clean-up comes between.

    Raises:
        UsageError: a folder holds something that is not ours, or leads out of the project, or two skills want one
            folder; nothing has changed.
        StorageError: the disk refused; the lock is as it was.
    """
    with store.writing():
        note_project(store.root, settings.project)
        return _apply(settings, store, plan, to, force=force)


def _apply(settings: Settings, store: Store, plan: Plan, to: Linking, *, force: bool) -> tuple[Placement, ...]:
    places, record = Places(settings.project, store), read_record(settings.project)
    refuse_outside(settings.project, (*to.folders, *record.agents))
    wanted = _placements(plan.lock, to, record)
    kept = {placement.folder for placement in wanted}
    gone = [item for item in record.placements if item.folder not in kept]
    if not force:
        for placement in (*wanted, *gone):
            places.refuse_foreign(placement, record.placement(placement.folder))
    for folder in to.folders:
        places.remove_leftovers(folder)
    done = tuple(
        replace(placement, link=places.put(placement, record.placement(placement.folder), force=force))
        for placement in wanted
    )
    for placement in gone:
        places.take(placement, force=force)
    text = plan.lock.text()
    write_record(settings.project, Record(text_digest(text), to.folders, to.link, done))
    write_lock(settings.lock_path, plan.lock)
    return done


def _placements(lock: Lock, to: Linking, record: Record) -> tuple[Placement, ...]:
    """Return one placement for each skill and agent's folder; an owner is no part of a folder's name.

    What was once copied because the system refused a link stays a copy, as long as the same is asked for.
    """
    before = {item.folder: item.link for item in record.placements} if record.link == to.link else {}
    owners: dict[str, str] = {}
    for entry in lock.skills:
        folder = entry.name.rpartition("/")[2]
        other = owners.setdefault(folder, entry.name)
        if other != entry.name:
            raise UsageError(
                f"`{other}` and `{entry.name}` both need the folder `{folder}`",
                hint="agents know a skill by its folder: install only one of them",
            )
    places = ((f"{folder}/{entry.name.rpartition('/')[2]}", entry) for folder in to.folders for entry in lock.skills)
    return tuple(Placement(place, entry.name, entry.tree, before.get(place, to.link)) for place, entry in places)

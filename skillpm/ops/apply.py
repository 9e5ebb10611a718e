"""Carries out a plan: agents' folders, then the record, then the project file, and the lock last.

What fails is undone, all of it. Killed at any instant, the next run completes: the store and each folder hold the old
or the new, whole, and folders are recognised as ours by what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skillpm.errors import UsageError
from skillpm.model.lock import Lock
from skillpm.resolve.plan import Plan
from skillpm.settings import Settings
from skillpm.storage.agents import agent_folders
from skillpm.storage.journal import Journal
from skillpm.storage.links import Places
from skillpm.storage.record import RECORD, LinkKind, Placement, Record, read_record, record_text, text_digest
from skillpm.storage.store import Store

__all__ = ["Linking", "Outcome", "apply", "linking"]


@dataclass(frozen=True, slots=True)
class Linking:
    """Where and how skills are put: folders relative to the project."""

    folders: tuple[str, ...]
    link: LinkKind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What shall stand at the end.

    Attributes:
        plan: the skills.
        to: where they are put.
        lock_text: the lock to the letter, where it is to stay as it stands; None writes the plan's.
        project_text: the project file's new text; None leaves it alone.
        settled: does the lock agree with the project file? Then the next run may trust it without reading either.
    """

    plan: Plan
    to: Linking
    lock_text: str | None = None
    project_text: str | None = None
    settled: bool = True


def linking(settings: Settings, record: Record, folders: Iterable[str], link: LinkKind | None) -> Linking:
    """Return where skills are put: what this command asks, what the settings say, and what earlier installs did.

    A project file that lists agents has the last word: their folders are filled, and no others.

    Raises:
        UsageError: the settings name an agent that is not known, or the project does not list one that is asked for.
    """
    declared = settings.document is not None and settings.document.agents is not None
    standing = agent_folders(settings.agents, user=settings.user) if settings.agents or declared else ()
    preferred = link or settings.link or record.link
    kind: LinkKind = "symlink" if preferred == "symlink" else "copy"
    if not declared:
        return Linking(tuple(dict.fromkeys((*folders, *standing, *record.agents))), kind)
    for folder in folders:
        if folder not in standing:
            raise UsageError(
                f"skillpm.yaml lists the agents of this project, and none of them reads {folder}",
                hint="add the agent to `agents` in skillpm.yaml, then run `skillpm sync`",
            )
    return Linking(standing, kind)


def apply(settings: Settings, store: Store, outcome: Outcome, *, force: bool = False) -> None:
    """Put the planned skills into agents' folders, take the removed ones away, write record, project file and lock.

    The trees must be in the store, and the caller holds the project's lock.

    Raises:
        UsageError: a folder holds something that is not ours, or two skills want one folder; nothing has changed.
        StorageError: the disk refused; what was done is undone.
    """
    places, record = Places(settings.project, store), read_record(settings.project)
    plan, to = outcome.plan, outcome.to
    wanted = _placements(plan.lock, to)
    kept = {placement.folder for placement in wanted}
    gone = [item for item in record.placements if item.folder not in kept]
    if not force:
        for placement in (*wanted, *gone):
            places.refuse_foreign(placement, record.placement(placement.folder))
    for folder in to.folders:
        places.remove_leftovers(folder)
    text = plan.lock.text() if outcome.lock_text is None else outcome.lock_text
    digest = settings.digest(outcome.project_text) if outcome.settled else ""
    with Journal() as journal:
        for placement in wanted:
            places.put(placement, record.placement(placement.folder), force=force, journal=journal)
        for placement in gone:
            places.take(placement, force=force, journal=journal)
        journal.write(
            settings.project / RECORD, record_text(Record(text_digest(text), to.folders, to.link, wanted, digest))
        )
        if outcome.project_text is not None:
            journal.write(settings.project_path, outcome.project_text)
        if outcome.lock_text is None:
            journal.write(settings.lock_path, text)


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

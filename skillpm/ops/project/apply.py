"""Carries out a plan: agents' folders, then the record, then the project file, and the lock last.

Everything is written beside its place before the first name changes, so whatever a disk or a right can refuse is
refused while nothing has changed; what fails after that is undone, all of it. Killed at any instant, the next run
completes: each name holds the old or the new, whole, and folders are recognised as ours by what they hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from skillpm.clients.folders import agent_folders
from skillpm.errors import UsageError
from skillpm.model.lock import Lock
from skillpm.ops.project.choose import Selection
from skillpm.settings import Settings
from skillpm.storage.files import remove_drafts
from skillpm.storage.links import Places, refuse_outside
from skillpm.storage.process_lock import locked
from skillpm.storage.record import RECORD, LinkKind, Placement, Record, read_record, record_text, text_digest
from skillpm.storage.store import Store
from skillpm.storage.swap import Swap
from skillpm.storage.usage import note_project


@dataclass(frozen=True, slots=True)
class Linking:
    """Where and how skills are put: folders relative to the project."""

    folders: tuple[str, ...]
    link: LinkKind


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall stand at the end, before anything is fetched or written.

    Attributes:
        selection: the skills.
        to: where they are put.
        lock_text: the lock to the letter, where it is to stay as it stands; None writes the plan's.
        project_text: the project file's new text; None leaves it alone.
        settled: does the lock agree with the project file? Then the next run may trust it without reading either.
        removal: are skills only taken away? Then nothing is fetched, and no policy is asked.
    """

    selection: Selection
    to: Linking
    lock_text: str | None = None
    project_text: str | None = None
    settled: bool = True
    removal: bool = False


def linking(
    settings: Settings, record: Record, folders: Iterable[str], link: LinkKind | None, *, adding: bool = False
) -> Linking:
    """Return where skills are put: what this command asks, what the settings say, and what earlier installs did.

    A project file that lists agents has the last word: their folders are filled, and no others; unless the command is
    ``adding`` its own to that list.

    Raises:
        UsageError: the settings name an agent that is not known, or the project does not list one that is asked for.
    """
    declared = settings.document is not None and settings.document.agents is not None
    standing: tuple[str, ...] = ()
    if settings.agents or declared:
        standing = agent_folders(settings.agents, user=settings.user, project=settings.project)
    preferred = link or settings.link or record.link
    kind: LinkKind = "symlink" if preferred == "symlink" else "copy"
    if not declared:
        return Linking(tuple(dict.fromkeys((*folders, *standing, *record.agents))), kind)
    if adding:
        return Linking(tuple(dict.fromkeys((*standing, *folders))), kind)
    for folder in folders:
        if folder not in standing:
            raise UsageError(
                f"skillpm.yaml lists the agents of this project, and none of them reads {folder}",
                hint="add the agent to `agents` in skillpm.yaml, then run `skillpm sync`",
            )
    return Linking(standing, kind)


def refused_links(to: Linking, placed: Iterable[Placement]) -> list[str]:
    """Say in one sentence where a link was asked for and something less was done."""
    less = [item for item in placed if item.link != to.link]
    if to.link == "copy" or not less:
        return []
    kinds = " and ".join(sorted({"copies" if item.link == "copy" else "junctions" for item in less}))
    return [f"symbolic links are refused here, so {len(less)} of the skills' folders are {kinds}"]


def apply(settings: Settings, store: Store, decision: Decision, *, force: bool = False) -> tuple[Placement, ...]:
    """Put the planned skills into agents' folders, take the removed ones away, write record, project file and lock.

    Returns what was really done: where links were asked for and the system refused them, skills were copied.

    The trees must be in the store, and the caller holds the project's lock and the store, so that no clean-up takes
    what is counted on.

    Raises:
        UsageError: a folder holds something that is not ours, or leads out of the project; nothing has changed.
        StorageError: the disk refused; what was done is undone.
    """
    places, record = Places(settings.project, store), read_record(settings.project)
    to, lock = decision.to, decision.selection.plan.lock
    refuse_outside(settings.project, (*to.folders, *record.agents))
    wanted = _placements(lock, to, record)
    kept, before = {placement.folder for placement in wanted}, record.by_folder()
    gone = [item for item in record.placements if item.folder not in kept]
    note_project(store.root, settings.project)
    places.remove_leftovers((*to.folders, *record.agents))
    remove_drafts(settings.lock_path)
    with Swap() as swap:
        placed = tuple(
            replace(item, link=places.put(item, before.get(item.folder), swap, force=force)) for item in wanted
        )
        for item in gone:
            places.take(item, swap, force=force)
        for path, text in _documents(settings, decision, placed):
            swap.stage_file(path, text)
        swap.commit()
    return placed


def _documents(settings: Settings, decision: Decision, placed: tuple[Placement, ...]) -> list[tuple[Path, str]]:
    """Return the files that are written beside the skills, in their order."""
    to = decision.to
    text = decision.selection.plan.lock.text() if decision.lock_text is None else decision.lock_text
    digest = settings.digest(decision.project_text) if decision.settled else ""
    record = Record(text_digest(text), to.folders, to.link, placed, digest)
    documents = [(settings.project / RECORD, record_text(record))]
    if decision.project_text is not None:
        documents.append((settings.project_path, decision.project_text))
    if decision.lock_text is None:
        documents.append((settings.lock_path, text))
    return documents


def refuse_clashes(lock: Lock) -> None:
    """Raise UsageError where two skills of different owners need one folder."""
    owners: dict[str, str] = {}
    for entry in lock.skills:
        folder = entry.name.rpartition("/")[2]
        other = owners.setdefault(folder, entry.name)
        if other != entry.name:
            raise UsageError(
                f"`{other}` and `{entry.name}` both need the folder `{folder}`",
                hint="agents know a skill by its folder: install only one of them",
            )


def _placements(lock: Lock, to: Linking, record: Record) -> tuple[Placement, ...]:
    """Return one placement for each skill and agent's folder; an owner is no part of a folder's name.

    What was once copied because the system refused a link stays a copy, as long as the same is asked for.
    """
    before = {item.folder: item.link for item in record.placements} if record.link == to.link else {}
    places = ((f"{folder}/{entry.name.rpartition('/')[2]}", entry) for folder in to.folders for entry in lock.skills)
    return tuple(Placement(place, entry.name, entry.tree, before.get(place, to.link)) for place, entry in places)


PROJECT_LOCK = Path(".skillpm", "lock")


@contextlib.contextmanager
def project_held(project: Path) -> Iterator[None]:
    """Hold a project's lock between processes; what comes to nothing leaves no trace in the folder.

    Raises:
        UsageError: a link leads ``.skillpm`` out of the project.
        BusyError: another process holds it and does not end.
        StorageError: the project cannot be written.
    """
    refuse_outside(project, [PROJECT_LOCK.parts[0]])
    path = project / PROJECT_LOCK
    with locked(path) as lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if lock.stands() and list(path.parent.iterdir()) == [path]:
                    path.unlink()
                    path.parent.rmdir()

"""Carries out a plan: agents' folders, then the record, then the project file, and the lock last.

Everything is written beside its place before the first name changes. So a full disk or a missing right stops the run
while nothing has changed; a later failure is undone completely. If the run is killed, each name holds its old or its
new content, whole, and the next run completes the work: it recognises our folders by their content.

The lock comes last because it is the promise: until it changes, every reader still sees the old state as the locked
one, and an interrupted install looks like an install that has still to be done.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from skillpm.clients.folders import agent_folders
from skillpm.errors import UsageError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.name import is_name
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
    """The agents' folders to fill, relative to the project, and the way to fill them."""

    folders: tuple[str, ...]
    link: LinkKind


@dataclass(frozen=True, slots=True)
class Decision:
    """The target state, before anything is fetched or written.

    Attributes:
        selection: the skills.
        to: the agents' folders.
        lock_text: the lock's present text if it stays as it is; None writes the plan's lock.
        project_text: the project file's new text; None leaves the file alone.
        settled: does the lock agree with the project file? Then the next run may trust it without reading either.
        removal: are skills only removed? Then nothing is fetched, and no policy is checked.
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
    """Return the folders to fill: those of this command, of the settings and of earlier installs.

    If a project file lists agents, only their folders are filled, unless the command is ``adding`` agents to the list.

    Raises:
        UsageError: an agent in the settings is not known, or the project does not list an agent of this command.
    """
    declared = settings.document is not None and settings.document.agents is not None
    configured: tuple[str, ...] = ()
    if settings.agents or declared:
        configured = agent_folders(settings.agents, user=settings.user, project=settings.project)
    preferred = link or settings.link or record.link
    kind: LinkKind = "symlink" if preferred == "symlink" else "copy"
    if not declared:
        return Linking(tuple(dict.fromkeys((*folders, *configured, *record.agents))), kind)
    if adding:
        return Linking(tuple(dict.fromkeys((*configured, *folders))), kind)
    for folder in folders:
        if folder not in configured:
            raise UsageError(
                f"skillpm.yaml lists the agents of this project, but none of them reads {folder}",
                hint="add the agent to `agents` in skillpm.yaml, then run `skillpm sync`",
            )
    return Linking(configured, kind)


def refused_links(to: Linking, placed: Iterable[Placement]) -> list[str]:
    """Return a sentence if the system refused links that were requested."""
    less = [item for item in placed if item.link != to.link]
    if to.link == "copy" or not less:
        return []
    kinds = " and ".join(sorted({"copies" if item.link == "copy" else "junctions" for item in less}))
    return [f"this system refuses symbolic links, so {len(less)} of the skills' folders are {kinds}"]


def apply(settings: Settings, store: Store, decision: Decision, *, force: bool = False) -> tuple[Placement, ...]:
    """Put the planned skills into agents' folders, remove the others, write record, project file and lock.

    The trees must be in the store. The caller holds the project's lock and the store, so that no clean-up removes them.

    Returns:
        The actual placements: if the system refuses links, skills are copied.

    Raises:
        UsageError: a folder has foreign content, or leads out of the project; nothing has changed.
        StorageError: the disk refused; all changes are undone.
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
    """Return the files to write besides the skills, in their order."""
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


def folder_names(lock: Lock) -> dict[str, str]:
    """Return the folder of each skill: its name without the owner, or ``plugin-name`` for plugins that share a name.

    A person chose the repository of such plugins. The owners of a registry get no folder beside another's skill: agents
    that go by SKILL.md would load either of them.
    """
    skills: dict[str, list[LockedSkill]] = defaultdict(list)
    for entry in lock.skills:
        skills[entry.name.rpartition("/")[2]].append(entry)
    return {
        entry.name: entry.name.replace("/", "-") if len(entries) > 1 and _of_plugins(entries) else last
        for last, entries in skills.items()
        for entry in entries
    }


def _of_plugins(entries: Iterable[LockedSkill]) -> bool:
    return all("/" in entry.name and entry.source.chosen_by_hand for entry in entries)


def refuse_clashes(lock: Lock) -> None:
    """Raise UsageError if two skills need the same folder."""
    owners: dict[str, str] = {}
    for name, folder in folder_names(lock).items():
        other = owners.setdefault(folder, name)
        if other != name or not is_name(folder):
            raise UsageError(
                f"`{other}` and `{name}` both need the folder `{folder}`",
                hint="install only one of them: agents know a skill by its folder",
            )


def shared_names(lock: Lock, changed: Collection[str]) -> list[str]:
    """Return a warning for each name that a changed skill shares: agents that go by SKILL.md see it twice."""
    folders, skills = folder_names(lock), defaultdict(list)
    for name in folders:
        skills[name.rpartition("/")[2]].append(name)
    return [
        f"{len(names)} skills are called `{last}`: {', '.join(f'{name} in {folders[name]}' for name in names)}; "
        "an agent that goes by the name in SKILL.md may load one of them only"
        for last, names in skills.items()
        if len(names) > 1 and not set(changed).isdisjoint(names)
    ]


def _placements(lock: Lock, to: Linking, record: Record) -> tuple[Placement, ...]:
    """Return one placement for each skill and agent's folder.

    A skill that was copied because the system refused a link stays a copy while the requested kind stays the same.
    """
    before = {item.folder: item.link for item in record.placements} if record.link == to.link else {}
    names = folder_names(lock)
    places = ((f"{folder}/{names[entry.name]}", entry) for folder in to.folders for entry in lock.skills)
    return tuple(Placement(place, entry.name, entry.tree, before.get(place, to.link)) for place, entry in places)


PROJECT_LOCK = Path(".skillpm", "lock")


@contextlib.contextmanager
def project_held(project: Path) -> Iterator[None]:
    """Hold a project's lock between processes. Remove .skillpm again if nothing was written.

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

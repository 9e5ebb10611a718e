"""The one difference between what stands in agents' folders and what a lock wants there.

What stands is read from the folders themselves; the record says which of them are ours, and which release they had.
``install``, ``sync``, ``update`` and ``uninstall`` carry the difference out, their dry runs print it, and ``list``,
``verify`` and ``outdated`` report it. So no command can say that something is kept while another one replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skillpm.clients.folders import agent_folders
from skillpm.errors import SkillpmError
from skillpm.layout.description import identity
from skillpm.layout.tree import FolderTree
from skillpm.model.lock import Lock, LockedSkill
from skillpm.ops.context import Context
from skillpm.ops.project.folder_names import folder_names
from skillpm.ops.project.linking import Linking, linking
from skillpm.resolve.plan import Change
from skillpm.storage.links import Occupant, Places, Standing
from skillpm.storage.record import Placement, Record, read_record
from skillpm.storage.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """One folder.

    Attributes:
        wanted: what the lock wants there; None if the folder has to go.
        recorded: its entry in the record, or None.
    """

    wanted: Placement | None
    recorded: Placement | None
    standing: Standing

    @property
    def placement(self) -> Placement:
        """The wanted placement, or else the recorded one."""
        placement = self.wanted or self.recorded
        assert placement is not None
        return placement

    @property
    def is_foreign(self) -> bool:
        """Has it content that is not ours, or that was edited?"""
        return self.standing.occupant is Occupant.FOREIGN


@dataclass(frozen=True, slots=True)
class SkillState:
    """One name.

    Attributes:
        entry: in the lock, or None.
        places: the folders that want it, and those that have it and must not.
        installed: the version that stands in the first folder that has one, or None.
    """

    name: str
    entry: LockedSkill | None
    places: tuple[Place, ...]
    installed: str | None

    @property
    def occupants(self) -> set[Occupant]:
        """Whose content stands in the wanted folders."""
        return {place.standing.occupant for place in self.places if place.wanted is not None}

    @property
    def change(self) -> Change:
        """What an install does."""
        if self.entry is None:
            return Change.REMOVED
        occupants = self.occupants
        if occupants <= {Occupant.WANTED}:
            return Change.KEPT
        is_known = any(place.recorded is not None for place in self.places)
        if self.is_stale or (is_known and Occupant.FOREIGN in occupants):
            return Change.REPLACED
        stands = not occupants.isdisjoint((Occupant.WANTED, Occupant.OURS))
        return Change.PLACED if is_known or stands else Change.ADDED

    @property
    def is_stale(self) -> bool:
        """Does another release stand in a folder than the lock has?"""
        return self.entry is not None and any(
            place.standing.occupant is Occupant.OURS and place.standing.tree != self.entry.tree for place in self.places
        )


def difference(context: Context, places: Places, record: Record, lock: Lock, to: Linking) -> dict[str, SkillState]:
    """Return the state of every name in the lock or in the folders, by name."""
    recorded = {item.folder: item for item in record.placements}
    wanted = {item.folder: item for item in placements(lock, to, record)}
    of: dict[str, list[Place]] = {entry.name: [] for entry in lock.skills}
    for item in wanted.values():
        known = recorded.get(item.folder)
        of[item.skill].append(Place(item, known, places.standing(item, known)))
    for item in record.placements:
        if item.folder in wanted:  # of this skill, or of another one with the same folder
            of.setdefault(item.skill, [])
            continue
        standing = places.standing(item, item)
        if standing.occupant is not Occupant.NOTHING:
            of.setdefault(item.skill, []).append(Place(None, item, standing))
    entries = {entry.name: entry for entry in lock.skills}
    return {
        name: SkillState(name, entries.get(name), tuple(folders), _version(context.store, places, entries, folders))
        for name, folders in sorted(of.items())
    }


def standing(context: Context) -> dict[str, SkillState]:
    """Return the state of every name in the present lock or in the folders that installs fill, by name.

    Raises:
        LockOutOfDateError: the lock has conflict markers, or is newer than this skillpm.
        UsageError: an agent in the settings is not known.
        DocumentError: the lock or the record is damaged.
        StorageError: one of them cannot be read.
    """
    settings = context.settings
    record = read_record(settings.project)
    to = linking(settings, record, agent_folders(()), None)
    places = Places(settings.root, context.store, settings.project)
    return difference(context, places, record, context.lock(), to)


def placements(lock: Lock, to: Linking, record: Record) -> tuple[Placement, ...]:
    """Return one placement for each skill and agent's folder; an adapter is no text for an agent, and has none.

    A skill that was copied because the system refused a link stays a copy while the requested kind stays the same.
    """
    before = {item.folder: item.link for item in record.placements} if record.link == to.link else {}
    names, placed = folder_names(lock), [entry for entry in lock.skills if not entry.adapter]
    folders = ((f"{folder}/{names[entry.name]}", entry) for folder in to.folders for entry in placed)
    return tuple(Placement(place, entry.name, entry.tree, before.get(place, to.link)) for place, entry in folders)


def _version(store: Store, places: Places, entries: dict[str, LockedSkill], folders: Iterable[Place]) -> str | None:
    """Return the version of what stands, as the skill's own files give it."""
    for place in folders:
        tree, entry = place.standing.tree, entries.get(place.placement.skill)
        if tree is None:
            continue
        if entry is not None and tree == entry.tree:
            return entry.version
        for folder in (places.path(place.placement), store.path(tree)):
            try:
                return identity(FolderTree(folder)).version
            except SkillpmError:
                continue
    return None

"""``skillpm verify``: compare the store with the lock, and every agent's folder with both. Nothing is repaired.

No list of files is stored. The lock has only the digest of a tree, so the list comes from any copy (store or folder)
whose digest is the locked one, and the other copies are compared with it. If no copy is intact, only the damage as a
whole can be reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from skillpm.clients.folders import agent_folders
from skillpm.layout.description import identity
from skillpm.layout.tree import FolderTree, Listing
from skillpm.model.lock import LockedSkill
from skillpm.ops.context import Context, locked_skills
from skillpm.ops.project.apply import folder_names, linking
from skillpm.ops.project.identity import contradictions
from skillpm.resolve.agreement import refuse_incoherent
from skillpm.settings.folders import LOCK_FILE
from skillpm.storage.inspection import Contents, contents, differences
from skillpm.storage.links import Occupant, Places
from skillpm.storage.record import Placement, Record, read_record

STORE = "store"
_INSTALL = "run `skillpm install` to put it back"
_REPAIR = "run `skillpm install` to fetch it again"
_UPDATE = "run `skillpm install` to put the locked version there"
_EDITED = "copy your edits, or run `skillpm install --force` to keep the folder as {name}.orig"
_TAKEN = "move it, or run `skillpm install --force` to keep it as {name}.orig"
_FORGED = "find out who changed skillpm.lock; restore it from version control"
_ORPHAN = "run `skillpm install` to remove it"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference from the lock.

    Attributes:
        skill: the locked name.
        place: ``store``, ``skillpm.lock``, or a folder relative to the project.
        path: the file below the place; empty for the whole place.
        kind: of the difference.
        detail: ``content``, ``executable bit``, ``symlink``, …
        remedy: the next step.
    """

    skill: str
    place: str
    path: str
    kind: Literal["missing", "changed", "surplus"]
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome; ``skills`` and ``folders`` are the numbers of compared ones."""

    skills: int
    folders: int
    problems: tuple[Mismatch, ...]

    @property
    def damaged(self) -> bool:
        """Do bytes in the store differ from the digest, or belong to another skill than the lock claims?"""
        if any(problem.place == LOCK_FILE for problem in self.problems):
            return True
        return any(problem.place == STORE and (problem.path or problem.kind != "missing") for problem in self.problems)


def verify(context: Context, names: Sequence[str] = ()) -> Verification:
    """Compare all installed skills, or these, with the lock; every byte is read.

    Raises:
        UnknownSkillError: a name is not installed.
        LockOutOfDateError: the lock contradicts itself, or cannot be read by this version.
        DocumentError, StorageError: the lock or the record cannot be read.
    """
    lock = context.lock()
    refuse_incoherent(lock)
    entries = locked_skills(lock, names)
    record = read_record(context.settings.project)
    check = _Check(context, record, folder_names(lock))
    problems = [problem for entry in entries for problem in check.skill(entry)]
    if not names:
        problems += check.orphans({entry.name for entry in entries})
    return Verification(len(entries), check.folders, tuple(problems))


class _Check:
    """The comparison of one skill after the other, with a count of folders."""

    def __init__(self, context: Context, record: Record, names: dict[str, str]) -> None:
        self._names = names
        self._project = context.settings.project
        self._store = context.store
        self._places = Places(self._project, self._store)
        self._record = record
        self._folders = linking(context.settings, record, agent_folders(()), None).folders
        self._placed = {placement.folder: placement for placement in record.placements}
        self.folders = 0

    def skill(self, entry: LockedSkill) -> Iterator[Mismatch]:
        """Yield the differences of one skill: in the store first, then in the agents' folders."""
        stored = self._store.path(entry.tree)
        whole = self._store.verify(entry.tree)
        occupants = {placement: self._occupant(placement) for placement in self._wanted(entry)}
        self.folders += len(occupants)
        if whole:
            yield from _contradictions(entry, FolderTree(stored))
        if whole and all(occupant is Occupant.WANTED for occupant in occupants.values()):
            return
        copies = [self._project / item.folder for item, occupant in occupants.items() if occupant is Occupant.WANTED]
        files = next((read.files for path in (stored, *copies) if (read := contents(path)).digest == entry.tree), None)
        if not stored.is_dir():
            yield Mismatch(entry.name, STORE, "", "missing", "", _REPAIR)
        elif not whole:
            yield from _file_by_file(entry.name, STORE, contents(stored), files, _REPAIR)
        for placement, occupant in occupants.items():
            yield from self._folder(placement, occupant, files)

    def orphans(self, locked: set[str]) -> Iterator[Mismatch]:
        """Yield the recorded folders of skills that the lock no longer has."""
        for placement in self._placed.values():
            if placement.skill not in locked and (self._project / placement.folder).exists():
                yield Mismatch(placement.skill, placement.folder, "", "surplus", "not in the lock", _ORPHAN)

    def _wanted(self, entry: LockedSkill) -> Iterator[Placement]:
        for agent in self._folders:
            folder = f"{agent}/{self._names[entry.name]}"
            placed = self._placed.get(folder)
            yield Placement(folder, entry.name, entry.tree, placed.link if placed else self._record.link)

    def _occupant(self, wanted: Placement) -> Occupant:
        return self._places.occupant(wanted, self._placed.get(wanted.folder))

    def _folder(self, wanted: Placement, occupant: Occupant, files: Listing | None) -> Iterator[Mismatch]:
        path = self._project / wanted.folder
        remedy = (_EDITED if wanted.folder in self._placed else _TAKEN).format(name=path.name)
        if occupant is Occupant.NOTHING:
            yield Mismatch(wanted.skill, wanted.folder, "", "missing", "", _INSTALL)
        elif occupant is Occupant.OURS:
            yield Mismatch(
                wanted.skill, wanted.folder, "", "changed", "another version, or another way of linking", _UPDATE
            )
        elif occupant is Occupant.FOREIGN and (path.is_symlink() or not path.is_dir()):
            detail = "a link to another place" if path.is_symlink() else "not a folder"
            yield Mismatch(wanted.skill, wanted.folder, "", "changed", detail, remedy)
        elif occupant is Occupant.FOREIGN:
            yield from _file_by_file(wanted.skill, wanted.folder, contents(path), files, remedy)


def _contradictions(entry: LockedSkill, tree: FolderTree) -> Iterator[Mismatch]:
    for what, claimed, true in contradictions(entry, identity(tree)):
        detail = f"it has {what} {claimed}, the skill has {true}"
        yield Mismatch(entry.name, LOCK_FILE, "", "changed", detail, _FORGED)


def _file_by_file(skill: str, place: str, present: Contents, wanted: Listing | None, remedy: str) -> Iterator[Mismatch]:
    if wanted is None:
        yield Mismatch(skill, place, "", "changed", "no intact copy is left to compare the files with", remedy)
        return
    for item in differences(present, wanted):
        yield Mismatch(skill, place, item.path, item.kind, item.detail, remedy)

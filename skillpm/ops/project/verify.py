"""``skillpm verify``: the store against the lock, and every agent's folder against both. Nothing is repaired.

No list of files is kept anywhere: of all places where a skill's content should be, one whose digest is the locked one
tells what the others should hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from skillpm.clients.folders import agent_folders
from skillpm.layout.tree import Listing
from skillpm.model.lock import LockedSkill
from skillpm.ops.context import Context, locked_skills
from skillpm.ops.project.apply import linking
from skillpm.storage.inspection import Contents, contents, differences
from skillpm.storage.links import Occupant, Places
from skillpm.storage.record import Placement, Record, read_record

STORE = "store"
_INSTALL = "run `skillpm install`, which puts it back"
_REPAIR = "run `skillpm install`, which fetches it again"
_UPDATE = "run `skillpm install`, which puts the locked version there"
_EDITED = "copy your edits away, or run `skillpm install --force`, which keeps the folder as {name}.orig"
_TAKEN = "move it away, or run `skillpm install --force`, which keeps it as {name}.orig"
_ORPHAN = "run `skillpm install`, which takes it away"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as the lock says.

    Attributes:
        skill: the locked name.
        place: ``store``, or a folder relative to the project.
        path: the file below the place; empty where the whole place is meant.
        kind: what is the matter with it.
        detail: more of that: ``content``, ``executable bit``, ``symlink``, …
        remedy: what to do.
    """

    skill: str
    place: str
    path: str
    kind: Literal["missing", "changed", "surplus"]
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome; ``skills`` and ``folders`` are how many were looked at."""

    skills: int
    folders: int
    problems: tuple[Mismatch, ...]

    @property
    def damaged(self) -> bool:
        """Does the store hold other bytes than a digest promises?"""
        return any(problem.place == STORE and (problem.path or problem.kind != "missing") for problem in self.problems)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        ok = not self.problems
        return {"ok": ok, "skills": self.skills, "folders": self.folders, "problems": self.problems}


def verify(context: Context, names: Sequence[str] = ()) -> Verification:
    """Compare everything that is installed, or these skills, with the lock; every byte is read.

    Raises:
        UnknownSkillError: a name is not installed.
        LockOutOfDateError, DocumentError, StorageError: lock or record cannot be read.
    """
    entries = locked_skills(context.lock(), names)
    record = read_record(context.settings.project)
    check = _Check(context, record)
    problems = [problem for entry in entries for problem in check.skill(entry)]
    if not names:
        problems += check.orphans({entry.name for entry in entries})
    return Verification(len(entries), check.folders, tuple(problems))


class _Check:
    """Looks at one skill after the other; counts the folders."""

    def __init__(self, context: Context, record: Record) -> None:
        self._project = context.settings.project
        self._store = context.store
        self._places = Places(self._project, self._store)
        self._record = record
        self._folders = linking(context.settings, record, agent_folders(()), None).folders
        self._placed = {placement.folder: placement for placement in record.placements}
        self.folders = 0

    def skill(self, entry: LockedSkill) -> Iterator[Mismatch]:
        """Yield what is wrong with one skill: in the store first, then in the agents' folders."""
        stored = self._store.path(entry.tree)
        whole = self._store.verify(entry.tree)
        found = {placement: self._occupant(placement) for placement in self._wanted(entry)}
        self.folders += len(found)
        if whole and all(occupant is Occupant.WANTED for occupant in found.values()):
            return
        copies = [self._project / item.folder for item, occupant in found.items() if occupant is Occupant.WANTED]
        files = next((read.files for path in (stored, *copies) if (read := contents(path)).digest == entry.tree), None)
        if not stored.is_dir():
            yield Mismatch(entry.name, STORE, "", "missing", "", _REPAIR)
        elif not whole:
            yield from _file_by_file(entry.name, STORE, contents(stored), files, _REPAIR)
        for placement, occupant in found.items():
            yield from self._folder(placement, occupant, files)

    def orphans(self, locked: set[str]) -> Iterator[Mismatch]:
        """Yield the folders that the record has of skills that the lock no longer has."""
        for placement in self._placed.values():
            if placement.skill not in locked and (self._project / placement.folder).exists():
                yield Mismatch(placement.skill, placement.folder, "", "surplus", "not in the lock", _ORPHAN)

    def _wanted(self, entry: LockedSkill) -> Iterator[Placement]:
        for agent in self._folders:
            folder = f"{agent}/{entry.name.rpartition('/')[2]}"
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
                wanted.skill, wanted.folder, "", "changed", "another version, or put there otherwise", _UPDATE
            )
        elif occupant is Occupant.FOREIGN and (path.is_symlink() or not path.is_dir()):
            detail = "a link that leads elsewhere" if path.is_symlink() else "not a folder"
            yield Mismatch(wanted.skill, wanted.folder, "", "changed", detail, remedy)
        elif occupant is Occupant.FOREIGN:
            yield from _file_by_file(wanted.skill, wanted.folder, contents(path), files, remedy)


def _file_by_file(skill: str, place: str, found: Contents, wanted: Listing | None, remedy: str) -> Iterator[Mismatch]:
    if wanted is None:
        yield Mismatch(skill, place, "", "changed", "no whole copy is left that tells which files", remedy)
        return
    for item in differences(found, wanted):
        yield Mismatch(skill, place, item.path, item.kind, item.detail, remedy)

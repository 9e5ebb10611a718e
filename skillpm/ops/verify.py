"""``skillpm verify``: the store against the lock, and every agent's folder against both. Nothing is repaired.

No list of files is kept anywhere: of all places where a skill's content should be, one whose digest is the locked one
tells what the others should hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from skillpm.layout.tree import Listing
from skillpm.model.lock import LockedSkill
from skillpm.ops.context import Context
from skillpm.ops.installed import locked_skills
from skillpm.storage.agents import UNIVERSAL
from skillpm.storage.inspection import Contents, contents, differences
from skillpm.storage.record import Record, read_record

__all__ = ["STORE", "Problem", "Verification", "verify"]

STORE = "store"
_INSTALL = "run `skillpm install`, which puts it back"
_REPAIR = "run `skillpm install`, which fetches it again"
_UPDATE = "run `skillpm install`, which puts the locked version there"
_EDITED = "copy your edits away, or run `skillpm install --force`, which keeps the folder as {name}.orig"
_TAKEN = "move it away, or run `skillpm install --force`, which keeps it as {name}.orig"
_ORPHAN = "run `skillpm install`, which takes it away"


@dataclass(frozen=True, slots=True)
class Problem:
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
    problems: tuple[Problem, ...]

    @property
    def damaged(self) -> bool:
        """Does the store hold other bytes than a digest promises?"""
        return any(problem.place == STORE and (problem.path or problem.kind != "missing") for problem in self.problems)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "ok": not self.problems,
            "skills": self.skills,
            "folders": self.folders,
            "problems": [asdict(problem) for problem in self.problems],
        }


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
        self._context = context
        self._placed = {placement.folder: placement for placement in record.placements}
        self._agents = record.agents or (UNIVERSAL,)
        self.folders = 0

    def skill(self, entry: LockedSkill) -> Iterator[Problem]:
        """Yield what is wrong with one skill: in the store first, then in the agents' folders."""
        stored = self._context.store.path(entry.tree)
        store = contents(stored) if stored.is_dir() else None
        folders = {f"{agent}/{entry.name.rpartition('/')[2]}": None for agent in self._agents}
        self.folders += len(folders)
        copies = {folder: self._copy(folder) for folder in folders}
        whole = [found for found in (store, *copies.values()) if found is not None and found.digest == entry.tree]
        wanted = whole[0].files if whole else None
        if store is None:
            yield Problem(entry.name, STORE, "", "missing", "", _REPAIR)
        else:
            yield from _problems(entry, STORE, store, wanted, _REPAIR)
        for folder, copy in copies.items():
            yield from self._folder(entry, folder, copy, wanted)

    def orphans(self, locked: set[str]) -> Iterator[Problem]:
        """Yield the folders that the record has of skills that the lock no longer has."""
        for placement in self._placed.values():
            if placement.skill not in locked and (self._context.settings.project / placement.folder).exists():
                yield Problem(placement.skill, placement.folder, "", "surplus", "not in the lock", _ORPHAN)

    def _copy(self, folder: str) -> Contents | None:
        path = self._context.settings.project / folder
        return contents(path) if path.is_dir() and not path.is_symlink() else None

    def _folder(
        self, entry: LockedSkill, folder: str, copy: Contents | None, wanted: Listing | None
    ) -> Iterator[Problem]:
        path = self._context.settings.project / folder
        placed = self._placed.get(folder)
        name = path.name
        if copy is None:
            yield from self._no_copy(entry, folder, path, linked=placed is not None and placed.link == "symlink")
        elif placed is not None and placed.link == "symlink":
            yield Problem(entry.name, folder, "", "changed", "a folder, not a link", _TAKEN.format(name=name))
        elif copy.digest != entry.tree and copy.digest is not None and self._context.store.has(copy.digest):
            yield Problem(entry.name, folder, "", "changed", "another version", _UPDATE)
        else:
            remedy = (_EDITED if placed is not None else _TAKEN).format(name=name)
            yield from _problems(entry, folder, copy, wanted, remedy)

    def _no_copy(self, entry: LockedSkill, folder: str, path: Path, *, linked: bool) -> Iterator[Problem]:
        if path.is_symlink():
            target = path.readlink()
            tree = self._context.store.path(target.name).resolve() == target and target.name
            if not tree:
                yield Problem(
                    entry.name, folder, "", "changed", "a link that leads elsewhere", _TAKEN.format(name=path.name)
                )
            elif tree != entry.tree:
                yield Problem(entry.name, folder, "", "changed", "another version", _UPDATE)
            elif not linked:
                yield Problem(entry.name, folder, "", "changed", "a link, not a folder", _UPDATE)
        elif path.exists():
            yield Problem(entry.name, folder, "", "changed", "not a folder", _TAKEN.format(name=path.name))
        else:
            yield Problem(entry.name, folder, "", "missing", "", _INSTALL)


def _problems(
    entry: LockedSkill, place: str, found: Contents, wanted: Listing | None, remedy: str
) -> Iterator[Problem]:
    if found.digest == entry.tree:
        return
    if wanted is None:
        yield Problem(entry.name, place, "", "changed", "no whole copy is left that tells which files", remedy)
        return
    for item in differences(found, wanted):
        yield Problem(entry.name, place, item.path, item.kind, item.detail, remedy)

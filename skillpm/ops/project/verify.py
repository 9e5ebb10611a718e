"""``skillpm verify``: compare the store with the lock, and every agent's folder with both. Nothing is repaired.

No list of files is stored. The lock has only the digest of a tree, so the list comes from any copy (store or folder)
whose digest is the locked one, and the other copies are compared with it. If no copy is intact, only the damage as a
whole can be reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillpm.errors import SkillpmError, StorageError
from skillpm.layout.description import identity
from skillpm.layout.tree import FileDigests, FolderTree, digest_of, file_digest
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import Source
from skillpm.ops.context import Context, locked_skills
from skillpm.ops.project.difference import Place, SkillState, standing
from skillpm.ops.project.identity import contradictions
from skillpm.ops.project.known_pages import KnownPages
from skillpm.ops.project.provenance import lacks_skill, moved, other_archive
from skillpm.ops.project.required import required
from skillpm.resolve.agreement import refuse_incoherent
from skillpm.resolve.plan import Change
from skillpm.settings.folders import LOCK_FILE
from skillpm.storage.links import Occupant
from skillpm.storage.record import read_record
from skillpm.storage.store import FETCH_AGAIN

STORE = "store"
_INSTALL = "run `skillpm install` to put it back"
_UPDATE = "run `skillpm install` to put the locked version there"
_EDITED = "copy your edits, or run `skillpm install --force` to keep the folder as .skillpm/kept/{name}"
_TAKEN = "move it, or run `skillpm install --force` to keep it as .skillpm/kept/{name}"
_FORGED = "find out who changed skillpm.lock; restore it from version control"
_ORPHAN = "run `skillpm install` to remove it"


Kind = Literal["missing", "changed", "surplus"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference from the lock.

    Attributes:
        place: ``store``, ``skillpm.lock``, or a folder relative to the project.
        path: the file below the place; empty for the whole place.
        detail: ``content``, ``executable bit``, ``symlink``, …
    """

    skill: str
    place: str
    path: str
    kind: Kind
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
    chosen = {entry.name for entry in locked_skills(lock, names)}
    states = [state for state in standing(context).values() if state.name in chosen or not names]
    problems = [problem for state in states for problem in _of_skill(context, state)]
    entries = [entry for entry in lock.skills if entry.name in chosen]
    problems += _of_sources(context, entries, _sources(context, lock))
    for entry, source in moved(entries, read_record(context.settings.project)):
        detail = f"it is locked from {entry.source}, and was installed from {source}"
        problems.append(Mismatch(entry.name, LOCK_FILE, "", "changed", detail, _FORGED))
    folders = sum(1 for state in states for place in state.places if place.wanted is not None)
    return Verification(len(chosen), folders, tuple(problems))


def _sources(context: Context, lock: Lock) -> dict[str, Source | None]:
    """Return the sources that the project requires by name; none if its requirements cannot be read."""
    with suppress(SkillpmError):  # the next sync reports the error
        return {root.name: root.source for root in required(context, lock)}
    return {}


def _of_sources(
    context: Context, entries: Iterable[LockedSkill], sources: Mapping[str, Source | None]
) -> Iterator[Mismatch]:
    """Yield each entry whose source is not the required one, or has no skill of its name."""
    for entry in entries:
        source = sources.get(entry.name)
        if source is not None and not source.same_origin(entry.source):
            detail = f"it is locked from {entry.source}, and required from {source}"
            yield Mismatch(entry.name, LOCK_FILE, "", "changed", detail, "run `skillpm lock`")
        elif lacks_skill(context, entry):
            detail = f"it is locked from {entry.source}, which has no skill of this name"
            yield Mismatch(entry.name, LOCK_FILE, "", "changed", detail, _FORGED)


def _of_skill(context: Context, state: SkillState) -> Iterator[Mismatch]:
    """Yield the differences of one skill: in the store first, then in the agents' folders."""
    entry, root = state.entry, context.settings.root
    if entry is None:
        for place in state.places:
            yield Mismatch(state.name, place.placement.folder, "", "surplus", "not in the lock", _ORPHAN)
        return
    stored = context.store.path(entry.tree)
    whole = context.store.verify(entry.tree)
    if whole:
        yield from _contradictions(context, entry, FolderTree(stored))
        if state.change is Change.KEPT:
            return
    intact = [root / place.placement.folder for place in state.places if place.standing.occupant is Occupant.WANTED]
    files = next((read.files for path in (stored, *intact) if (read := _contents(path)).digest == entry.tree), None)
    if not stored.is_dir():
        yield Mismatch(entry.name, STORE, "", "missing", "", FETCH_AGAIN)
    elif not whole:
        linked = [place for place in state.places if (root / place.placement.folder).is_symlink()]
        name = linked[0].placement.folder.rpartition("/")[2] if linked else ""
        remedy = _EDITED.format(name=name) if linked else FETCH_AGAIN  # the edit came through a link, and is not lost
        yield from _file_by_file(entry.name, STORE, _contents(stored), files, remedy)
    for place in state.places:
        if place.wanted is not None:
            yield from _of_folder(context, place, files)


def _of_folder(context: Context, place: Place, files: FileDigests | None) -> Iterator[Mismatch]:
    path = context.settings.root / place.placement.folder
    skill, folder, occupant = place.placement.skill, place.placement.folder, place.standing.occupant
    remedy = (_EDITED if place.recorded else _TAKEN).format(name=path.name)
    if occupant is Occupant.NOTHING:
        yield Mismatch(skill, folder, "", "missing", "", _INSTALL)
    elif occupant is Occupant.OURS:
        yield Mismatch(skill, folder, "", "changed", "another version, or another way of linking", _UPDATE)
    elif occupant is Occupant.FOREIGN and (path.is_symlink() or not path.is_dir()):
        detail = "a link to another place" if path.is_symlink() else "not a folder"
        if path.resolve().parent == context.store.trees.resolve():
            detail = "edited through its link into the store"
        yield Mismatch(skill, folder, "", "changed", detail, remedy)
    elif occupant is Occupant.FOREIGN:
        yield from _file_by_file(skill, folder, _contents(path), files, remedy)


def _contradictions(context: Context, entry: LockedSkill, tree: FolderTree) -> Iterator[Mismatch]:
    found = contradictions(entry.name, entry, identity(tree))
    archive = other_archive(entry, tree, KnownPages(context))
    for what, claimed, true in [*found, *([("the archive", entry.archive, archive)] if archive else [])]:
        detail = f"it has {what} {claimed}, the skill has {true}"
        yield Mismatch(entry.name, LOCK_FILE, "", "changed", detail, _FORGED)


def _file_by_file(
    skill: str, place: str, present: _Contents, wanted: FileDigests | None, remedy: str
) -> Iterator[Mismatch]:
    if wanted is None:
        yield Mismatch(skill, place, "", "changed", "no intact copy is left to compare the files with", remedy)
        return
    for path, kind, detail in sorted(_differences(present, wanted)):
        yield Mismatch(skill, place, path, kind, detail, remedy)


@dataclass(frozen=True, slots=True)
class _Contents:
    """The contents of a folder.

    Attributes:
        files: its regular files, path to (executable bit, hex SHA-256).
        odd: entries that no skill may have, and unreadable files: path to kind.
    """

    files: FileDigests
    odd: dict[str, str]

    @property
    def digest(self) -> str | None:
        """The digest of the tree; None if the folder has an odd entry."""
        return None if self.odd else digest_of(self.files)


def _contents(folder: Path) -> _Contents:
    """Read a whole folder. An unreadable file is part of the result, never an error."""
    tree = FolderTree(folder)
    files: FileDigests = {}
    odd = tree.irregular()
    for path in tree.paths():
        try:
            files[path] = tree.executable(path), file_digest(tree, path)
        except StorageError:
            odd[path] = "unreadable"
    return _Contents(files, odd)


def _differences(contents: _Contents, wanted: FileDigests) -> Iterator[tuple[str, Kind, str]]:
    """Yield each file that differs from the wanted one: its path, how, and in what."""
    for path, kind in contents.odd.items():
        yield path, "changed" if path in wanted else "surplus", kind
    for path in wanted.keys() - contents.files.keys() - contents.odd.keys():
        yield path, "missing", ""
    for path, (executable, digest) in contents.files.items():
        if path not in wanted:
            yield path, "surplus", ""
        elif digest != wanted[path][1]:
            yield path, "changed", "content"
        elif executable != wanted[path][0]:
            yield path, "changed", "executable bit"

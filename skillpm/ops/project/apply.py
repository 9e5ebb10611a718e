"""Carries out a plan: agents' folders, then the record, then the project file, and the lock last.

Everything is written beside its place before the first name changes. So a full disk or a missing right stops the run
while nothing has changed; a later failure is undone completely. If the run is killed, each name holds its old or its
new content, whole, and the next run completes the work: it recognises our folders by their content.

The lock comes last because it is the promise: until it changes, every reader still sees the old state as the locked
one, and an interrupted install looks like an install that has still to be done.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from skillpm.errors import SkillpmError
from skillpm.ops.context import Context
from skillpm.ops.project.choose import Selection
from skillpm.ops.project.difference import SkillState
from skillpm.ops.project.linking import Linking
from skillpm.settings import Settings
from skillpm.storage.files import DiskErrors, remove_drafts
from skillpm.storage.links import Occupant, Places, refuse_outside
from skillpm.storage.process_lock import ProcessLock, locked
from skillpm.storage.record import IGNORE, IGNORED, RECORD, Placement, Record, read_record, record_text, text_digest
from skillpm.storage.swap import Swap
from skillpm.storage.usage import note_project


@dataclass(frozen=True)
class Decision:
    """The target state, before anything is fetched or written.

    Attributes:
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

    @cached_property
    def next_lock(self) -> str:
        """The lock's text afterwards; that of a thousand skills takes a while to write."""
        return self.selection.plan.lock.text() if self.lock_text is None else self.lock_text

    def documents(self, settings: Settings) -> dict[Path, str]:
        """Return the new texts of the project file and of the lock, the lock last; what stays is left out."""
        texts = {settings.project_path: self.project_text}
        if self.lock_text is None:
            texts[settings.lock_path] = self.next_lock
        return {path: text for path, text in texts.items() if text is not None and not _has(path, text)}


def apply(
    context: Context, decision: Decision, places: Places, states: Iterable[SkillState], *, force: bool = False
) -> tuple[Placement, ...]:
    """Put the planned skills into agents' folders, remove the others, write record, project file and lock.

    The trees must be in the store. The caller holds the project's lock and the store, so that no clean-up removes them.
    With ``force``, foreign content is kept in ``.skillpm/kept``. ``places`` know the backups afterwards.

    Returns:
        The actual placements: if the system refuses links, skills are copied.

    Raises:
        UsageError: a folder has foreign content; nothing has changed.
        StorageError: the disk refused; all changes are undone.
    """
    settings, to = context.settings, decision.to
    note_project(context.store.root, settings.project)
    places.remove_leftovers((*to.folders, *read_record(settings.project).agents))
    remove_drafts(settings.lock_path)
    placed = []
    with Swap() as swap:
        for place in (place for state in states for place in state.places):
            if place.wanted is None:
                places.take(place.placement, swap, force=force)
            elif place.standing.occupant is Occupant.WANTED:
                placed.append(place.wanted)
            else:
                link = places.put(place.wanted, place.recorded, swap, force=force)
                placed.append(replace(place.wanted, link=link))
        _stage_documents(settings, decision, placed, swap)
        swap.commit()
    if not placed and not decision.selection.plan.lock.skills:
        # not earlier: until nothing is left to clean up, the next run must know which agents' folders were filled
        with contextlib.suppress(OSError):
            (settings.project / RECORD).unlink(missing_ok=True)
    return tuple(placed)


def _stage_documents(settings: Settings, decision: Decision, placed: Sequence[Placement], swap: Swap) -> None:
    """Stage the files besides the skills, in their order; a project that never had a skill needs no record."""
    lock = decision.selection.plan.lock
    record = settings.project / RECORD
    if placed or lock.skills or record.exists():
        digest, to = settings.digest(decision.project_text) if decision.settled else "", decision.to
        sources = {entry.name: str(entry.source) for entry in lock.skills}
        locked = text_digest(decision.next_lock)
        swap.stage_file(
            record, record_text(Record(locked, to.folders, to.link, tuple(placed), digest, to.named, sources))
        )
        if not os.path.lexists(settings.project / IGNORE):
            swap.stage_file(settings.project / IGNORE, IGNORED)
    for path, changed in decision.documents(settings).items():
        swap.stage_file(path, changed)


def _has(path: Path, text: str) -> bool:
    with DiskErrors("read", path):
        return path.is_file() and path.read_bytes() == text.encode()


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
    try:
        with locked(path) as lock:
            try:
                yield
            finally:
                _tidy(lock, project)
    except KeyboardInterrupt:  # it may come between the making of the folder and the lock
        if path.parent.is_dir():
            with contextlib.suppress(SkillpmError), locked(path, wait=0) as lock:
                _tidy(lock, project)
        raise


def _tidy(lock: ProcessLock, project: Path) -> None:
    """Remove .skillpm while we hold its lock, if nothing else is in it."""
    with contextlib.suppress(OSError):
        if lock.stands() and {*lock.path.parent.iterdir()} <= {lock.path, project / IGNORE}:
            _remove_ours(project / IGNORE)
            lock.path.unlink()
            lock.path.parent.rmdir()


def _remove_ours(path: Path) -> None:
    """Remove the .gitignore if it is the one that we write. Raises OSError."""
    if path.exists() and path.read_text(encoding="utf-8") == IGNORED:
        path.unlink()

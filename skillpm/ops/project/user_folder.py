"""Moves the user's own skills out of the home folder, where older versions kept their lock and their record."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from skillpm.index.git_url import GitUrl
from skillpm.model.lock import Lock
from skillpm.model.requirement import Requirement
from skillpm.model.source import Source, SourceKind
from skillpm.ops.project.apply import project_held
from skillpm.settings import Settings
from skillpm.settings.folders import LOCK_FILE, PROJECT_FILE
from skillpm.storage.files import write_atomic
from skillpm.storage.lockfile import read_lock, write_lock
from skillpm.storage.record import IGNORE, RECORD, read_record, record_text, text_digest

_OF_DISK = (SourceKind.PATH, SourceKind.ARCHIVE, SourceKind.REGISTRY)


def moved_from_home(settings: Settings) -> str | None:
    """Move the lock and the record of an older version, and return a sentence about it; None if there are none.

    The folders of agents stay as they are. Paths in the lock are relative to it, so they are written anew. A home
    folder with a skillpm.yaml is a project of its own, and is left alone.

    Raises:
        DocumentError: the lock or the record is damaged.
        StorageError: the disk refused; what is not moved yet stays.
    """
    home = settings.root
    if settings.lock_path.exists() or not (home / LOCK_FILE).is_file() or not (home / RECORD).is_file():
        return None
    if (home / PROJECT_FILE).exists() or not settings.user:
        return None
    with project_held(settings.project), project_held(home):
        record, lock = read_record(home), _relocated(read_lock(home / LOCK_FILE), home, settings.project)
        text = write_lock(settings.lock_path, lock)
        moved = replace(record, lock=text_digest(text), settings="")
        write_atomic(settings.project / RECORD, record_text(moved))
        for path in (home / LOCK_FILE, home / RECORD, home / IGNORE):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return f"moved ~/{LOCK_FILE} and ~/{RECORD.parent} to {settings.project}; the agents' folders stay as they are"


def _relocated(lock: Lock, old: Path, new: Path) -> Lock:
    """Return a lock of one folder as a lock of another one."""
    requirements = (Requirement.parse(text) for text in lock.requirements)
    return replace(
        lock,
        requirements=tuple(
            str(replace(item, source=_source(item.source, old, new)) if item.source else item) for item in requirements
        ),
        skills=tuple(replace(entry, source=_source(entry.source, old, new)) for entry in lock.skills),
    )


def _source(source: Source, old: Path, new: Path) -> Source:
    if source.kind is SourceKind.GIT and source.place.startswith("file:"):
        url = GitUrl.parse(str(source), old)
        return Source.parse(str(GitUrl.parse(str(replace(url, text=url.address)), new)))
    if source.kind not in _OF_DISK or "://" in source.place:
        return source
    return replace(source, place=Path(os.path.relpath(old / source.place, new)).as_posix())

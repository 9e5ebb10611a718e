"""Reads and writes ``skillpm.lock``, which an install writes last."""

from __future__ import annotations

import re
from pathlib import Path

from skillpm.errors import DocumentError, UsageError
from skillpm.formats.unending import unending
from skillpm.model.lock import RESTORE, Lock
from skillpm.model.requirement import Requirement, parse_version
from skillpm.model.source import BUNDLED
from skillpm.storage.files import read_text, write_atomic, written_through

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # no path and no address has one


def read_lock(path: Path) -> Lock:
    """Return the lock, or an empty one if there is no file.

    Raises:
        LockOutOfDateError: conflict markers, or written by a newer skillpm.
        DocumentError: it is not a lock.
        StorageError: it cannot be read.
    """
    kind = unending(path)
    if kind is not None:
        raise DocumentError(f"is {kind}, not a regular file", path=path.name, hint="remove it")
    return checked_lock(read_text(path), path=path.name) if path.exists() else Lock()


def checked_lock(text: str, *, path: str = "skillpm.lock") -> Lock:
    """Return the lock of a text.

    Raises:
        LockOutOfDateError: conflict markers, or written by a newer skillpm.
        DocumentError: it is not a lock.
    """
    lock = Lock.parse(text, path=path)
    try:
        for text in lock.requirements:
            Requirement.parse(text)
        for entry in lock.skills:
            parse_version(entry.version)
            for name, specifier in entry.requires.items():
                Requirement.of(name, specifier)
    except UsageError as error:
        raise DocumentError(error.message, path=path, hint=error.hint) from None
    for entry in lock.skills:
        if _CONTROL.search(str(entry.source)):
            raise DocumentError(f"the source of {entry.name} has a control character", path=path, hint=RESTORE)
        if not entry.source.place and entry.source != BUNDLED:
            raise DocumentError(f"the source of {entry.name} names no place", path=path, hint=RESTORE)
    names = [entry.name for entry in lock.skills]
    if len(set(names)) != len(names):
        raise DocumentError("a skill is in it twice", path=path, hint=RESTORE)
    return lock


def write_lock(path: Path, lock: Lock) -> str:
    """Write the lock if its text has changed; return the text.

    Raises:
        UsageError: it is a link that leads to no file.
        StorageError: the disk refused; the old lock is unchanged.
    """
    text = lock.text()
    if not path.exists() or read_text(path) != text:
        write_atomic(written_through(path), text)
    return text

"""Reads and writes ``skillpm.lock``. It is the last thing that an install writes."""

from __future__ import annotations

from pathlib import Path

from skillpm.model.lock import Lock
from skillpm.storage.files import read_text, write_atomic

__all__ = ["read_lock", "write_lock"]


def read_lock(path: Path) -> Lock:
    """Return the lock, an empty one where there is no file.

    Raises:
        LockOutOfDateError: conflict markers, or written by a newer skillpm.
        DocumentError: it is not a lock.
        StorageError: it cannot be read.
    """
    return Lock.parse(read_text(path), path=path.name) if path.exists() else Lock()


def write_lock(path: Path, lock: Lock) -> str:
    """Write the lock where its text has changed; return the text.

    Raises:
        StorageError: the disk refused; the old lock still stands.
    """
    text = lock.text()
    if not path.exists() or read_text(path) != text:
        write_atomic(path, text)
    return text

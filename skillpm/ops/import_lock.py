"""``skillpm import``: takes over the lock of another skill manager."""

from __future__ import annotations

from pathlib import Path

from skillpm.errors import DocumentError
from skillpm.ops.foreign_lock import ForeignLock, read_foreign_lock
from skillpm.storage.files import storage_error

__all__ = ["import_lock"]

MAX_LOCK = 4 << 20  # bytes


def import_lock(path: Path) -> ForeignLock:
    """Return what of a foreign lock can be required, and why not the rest; nothing is written.

    Raises:
        StorageError: the file cannot be read.
        DocumentError: it is too large, not text, or no lock that is known.
        LockOutOfDateError: it holds conflict markers, or has a version that is not known.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LOCK + 1)
    except OSError as error:
        raise storage_error("read", path, error) from None
    if len(data) > MAX_LOCK:
        raise DocumentError(f"larger than {MAX_LOCK} bytes", path=str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 at byte {error.start}", path=str(path)) from None
    return read_foreign_lock(text, path)

"""Files that clients send before anything is published. None of them stays for ever."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from skillpm.storage.files import DiskErrors

LIFETIME = 3600.0  # seconds in which an upload is to be finished


@contextlib.contextmanager
def draft(uploads: Path, number: str) -> Iterator[Path]:
    """Yield where the bytes of an upload go, until they are moved from there or removed. Raises StorageError."""
    path = uploads / f"{number}.{os.urandom(4).hex()}.part"
    try:
        with DiskErrors("write", path):
            yield path
    finally:
        path.unlink(missing_ok=True)


def parts(uploads: Path, account: int) -> Path:
    """Return the folder of files that an account has sent apart, each named by its SHA-256."""
    return uploads / f"files-{account}"


def remove_abandoned(uploads: Path, folders: str = "files-*") -> None:
    """Remove drafts and files whose senders have not finished in time, and folders that have none any more."""
    oldest = time.time() - LIFETIME
    for path in (*uploads.glob(f"{folders}/*"), *uploads.glob("*.part"), *uploads.glob(folders)):
        with contextlib.suppress(OSError):  # another request uses it, or has removed it
            if path.stat().st_mtime < oldest:
                (path.rmdir if path.is_dir() else path.unlink)()

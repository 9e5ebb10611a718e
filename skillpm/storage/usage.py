"""The projects that use a store: ``projects/<digest of the path>`` has the path of one project.

An install holds the store against cleaning while it checks the store, notes its project and writes the project's lock.
So an exclusive clean-up sees each install completely or not at all: either the lock names its trees, or the install
will check the store after the clean-up.

The needed trees of a project are all digests in its locks and in its record, found without parsing. So a lock with
conflict markers, or of a newer skillpm, keeps everything that it names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import StorageError
from skillpm.storage.files import DiskErrors, storage_error, write_atomic
from skillpm.storage.record import RECORD

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LOCKS = (
    "skillpm.lock",
    RECORD.as_posix(),
    "runs/*/skillpm.lock",
    "candidates/*/skillpm.lock",
)  # a run needs its own skills


def note_project(store: Path, project: Path) -> None:
    """Note that a project uses a store. A read-only store is left alone: nobody can clean it from here either."""
    entry = _entry(store, project)
    if not entry.exists():
        with contextlib.suppress(StorageError):
            write_atomic(entry, os.fsencode(os.path.realpath(project)) + b"\n")


def forget_project(store: Path, project: Path) -> None:
    """Forget a project that is gone."""
    with contextlib.suppress(OSError):
        _entry(store, project).unlink(missing_ok=True)


def known_projects(store: Path) -> list[Path]:
    """Return the noted projects, including those that are gone. Raises StorageError."""
    folder = store / "projects"
    try:
        texts = [path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error("read", folder, error) from None
    return sorted(Path(os.fsdecode(text.removesuffix(b"\n"))) for text in texts if text.strip())


def needed_trees(project: Path) -> set[str] | None:
    """Return the digests that a project needs; None if it is gone or no longer a project.

    Raises:
        StorageError: its lock exists but cannot be read, so its needs are unknown.
    """
    with DiskErrors("read what is locked in", project):
        texts = list(_texts(project)) if project.is_dir() else []
    return {digest.decode() for text in texts for digest in _DIGEST.findall(text)} if texts else None


def _texts(project: Path) -> Iterator[bytes]:
    for pattern in _LOCKS:
        for path in project.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                yield path.read_bytes()


def _entry(store: Path, project: Path) -> Path:
    return store / "projects" / hashlib.sha256(os.fsencode(os.path.realpath(project))).hexdigest()[:32]

"""Which projects use a store: ``projects/<digest of the path>`` holds the path of one project.

An install holds the store against cleaning from before it looks at what is stored until its project is noted and the
project's lock is written. So a clean-up, which has the store alone, finds of each install all or nothing: the lock that
says what it needs, or an install that will look at the store only after the clean-up.

What a project needs is read as plainly as can be: every digest that stands in its locks and in its record. A lock with
conflict markers, or of a newer skillpm, keeps whatever it names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import StorageError
from skillpm.storage.files import storage_error, write_atomic
from skillpm.storage.record import RECORD

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LOCKS = ("skillpm.lock", RECORD.as_posix(), "runs/*/skillpm.lock")  # a run needs the skills that it was made with


def note_project(store: Path, project: Path) -> None:
    """Remember that a project uses a store.

    A store that cannot be written is left as it is: whoever keeps it for others does not clean it either.
    """
    entry = _entry(store, project)
    if not entry.exists():
        with contextlib.suppress(StorageError):
            write_atomic(entry, os.fsencode(_place(project)) + b"\n")


def forget_project(store: Path, project: Path) -> None:
    """Forget a project that is gone."""
    with contextlib.suppress(OSError):
        _entry(store, project).unlink(missing_ok=True)


def known_projects(store: Path) -> list[Path]:
    """Return the projects that were noted, gone ones among them. Raises StorageError."""
    folder = store / "projects"
    try:
        texts = [path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error("read", folder, error) from None
    return sorted(Path(os.fsdecode(text.removesuffix(b"\n"))) for text in texts if text.strip())


def needed_trees(project: Path) -> set[str] | None:
    """Return the digests of all that a project needs; None where it is gone, or is a project no more.

    Raises:
        StorageError: its lock is there but cannot be read, so nobody can say what it needs.
    """
    try:
        texts = list(_texts(project)) if project.is_dir() else []
    except OSError as error:
        raise storage_error("read what is locked in", project, error) from None
    return {digest.decode() for text in texts for digest in _DIGEST.findall(text)} if texts else None


def _texts(project: Path) -> Iterator[bytes]:
    for pattern in _LOCKS:
        for path in project.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                yield path.read_bytes()


def _place(project: Path) -> str:
    return os.path.realpath(project)


def _entry(store: Path, project: Path) -> Path:
    return store / "projects" / hashlib.sha256(os.fsencode(_place(project))).hexdigest()[:32]

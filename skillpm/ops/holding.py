"""Holds a project while it is changed: one skillpm at a time works in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from skillpm.storage.links import refuse_outside
from skillpm.storage.process_lock import locked

__all__ = ["PROJECT_LOCK", "project_held"]

PROJECT_LOCK = Path(".skillpm", "lock")


@contextlib.contextmanager
def project_held(project: Path) -> Iterator[None]:
    """Hold a project's lock between processes; what comes to nothing leaves no trace in the folder.

    Raises:
        UsageError: a link leads ``.skillpm`` out of the project.
        BusyError: another process holds it and does not end.
        StorageError: the project cannot be written.
    """
    refuse_outside(project, [PROJECT_LOCK.parts[0]])
    path = project / PROJECT_LOCK
    with locked(path) as lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if lock.stands() and list(path.parent.iterdir()) == [path]:
                    path.unlink()
                    path.parent.rmdir()

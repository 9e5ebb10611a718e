"""Locks between processes: kernel locks on a file, so that the lock of a killed process is free at once.

Shared locks, which the store needs, are why this is not a library: the portable ones are exclusive only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import BusyError
from skillpm.storage.files import storage_error

__all__ = ["WAIT", "ProcessLock", "locked", "turns"]

WAIT = 300.0  # seconds to wait for another skillpm
_PAUSE = 0.02  # seconds between two tries


class ProcessLock:
    """A lock on one file; the file stays, only the lock comes and goes.

    Args:
        path: the file; its folder is made where it is missing.

    Raises:
        StorageError: the file cannot be opened, or the file system knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise storage_error("lock", path, error) from None

    def try_exclusive(self) -> bool:
        """Take the lock alone, without waiting; False where another process holds it."""
        return self._try(fcntl.LOCK_EX)

    def exclusive(self, wait: float = WAIT) -> None:
        """Take the lock alone. Raises BusyError when another process holds it for longer than ``wait`` seconds."""
        self._wait(fcntl.LOCK_EX, wait)

    def shared(self, wait: float = WAIT) -> None:
        """Take, or keep, the lock beside other sharers. Raises BusyError."""
        self._wait(fcntl.LOCK_SH, wait)

    def release(self) -> None:
        """Give the lock back; it cannot be taken again."""
        os.close(self._descriptor)

    def _wait(self, kind: int, wait: float) -> None:
        end = time.monotonic() + wait
        while not self._try(kind):
            if time.monotonic() > end:
                raise BusyError(
                    f"another skillpm has held {self.path} for {wait:.0f} seconds",
                    hint="wait until it has ended, then run the command again",
                )
            time.sleep(_PAUSE)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise storage_error("lock", self.path, error) from None
        return True


@contextlib.contextmanager
def locked(path: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold the exclusive lock on a file."""
    lock = ProcessLock(path)
    try:
        lock.exclusive(wait)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def turns(folder: Path, wait: float = 10.0) -> Iterator[None]:
    """Let processes that work in one folder take turns, where its file system can and nobody keeps them waiting.

    For work that is right without a lock as well: a file system that knows no locks, or a process that was stopped
    while it had its turn, holds nobody up. No file is made: the folder itself is locked.

    Raises:
        StorageError: the folder cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise storage_error("open", folder, error) from None
    try:
        _wait_for_turn(descriptor, wait)
        yield
    finally:
        os.close(descriptor)


def _wait_for_turn(descriptor: int, wait: float) -> None:
    end = time.monotonic() + wait
    while time.monotonic() < end:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # this file system knows no such lock
            time.sleep(_PAUSE)
        else:
            return

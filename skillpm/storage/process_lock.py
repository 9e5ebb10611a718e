"""Locks between processes: kernel locks on a file, so that the lock of a killed process is free at once.

Shared locks, which the store needs, are why this is not a library: the portable ones are exclusive only.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import BusyError
from skillpm.storage.files import storage_error
from skillpm.storage.kernel_lock import close, try_lock

WAIT = 300.0  # seconds to wait for another skillpm
_PAUSE = 0.02  # seconds between two tries
_TRIES = 100  # how often another process may remove a folder that was just made


class ProcessLock:
    """A lock on one file. Whoever holds it alone may remove the file: those who wait then make a new one.

    Args:
        path: the file; its folder is made where it is missing.

    Raises:
        StorageError: the file cannot be opened, or the file system knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = self._open()

    def try_exclusive(self) -> bool:
        """Take the lock alone, without waiting; False where another process holds it."""
        return self._try(alone=True)

    def exclusive(self, wait: float = WAIT) -> None:
        """Take the lock alone. Raises BusyError when another process holds it for longer than ``wait`` seconds."""
        self._wait(wait, alone=True)

    def shared(self, wait: float = WAIT) -> None:
        """Take, or keep, the lock beside other sharers. Raises BusyError."""
        self._wait(wait, alone=False)

    def release(self) -> None:
        """Give the lock back; it cannot be taken again."""
        close(self._descriptor)

    def _wait(self, wait: float, *, alone: bool) -> None:
        end = time.monotonic() + wait
        while not self._try(alone=alone):
            if time.monotonic() > end:
                raise BusyError(
                    f"another skillpm has held {self.path} for {wait:.0f} seconds",
                    hint="wait until it has ended, then run the command again",
                )
            time.sleep(_PAUSE)

    def _try(self, *, alone: bool) -> bool:
        try:
            if not try_lock(self._descriptor, alone=alone):
                return False
        except OSError as error:
            raise storage_error("lock", self.path, error) from None
        if self.stands():
            return True
        gone, self._descriptor = self._descriptor, self._open()
        close(gone)
        return False

    def _open(self) -> int:
        mode = os.O_RDWR | os.O_CREAT
        try:
            for _ in range(_TRIES):
                with contextlib.suppress(FileNotFoundError, FileExistsError):  # the folder was removed in between
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    return os.open(self.path, mode, 0o666)
            return os.open(self.path, mode, 0o666)
        except OSError as error:
            raise storage_error("lock", self.path, error) from None

    def stands(self) -> bool:
        """Is the file that is open the one that others will open? It may have been removed while we waited."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False


@contextlib.contextmanager
def locked(path: Path, wait: float = WAIT) -> Iterator[ProcessLock]:
    """Hold the exclusive lock on a file; it may be removed meanwhile. Raises StorageError, BusyError."""
    lock = ProcessLock(path)
    try:
        lock.exclusive(wait)
        yield lock
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
    if os.name != "posix":  # a folder cannot be opened there
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise storage_error("open", folder, error) from None
    try:
        _wait_for_turn(descriptor, wait)
        yield
    finally:
        close(descriptor)


def _wait_for_turn(descriptor: int, wait: float) -> None:
    end = time.monotonic() + wait
    with contextlib.suppress(OSError):  # this file system knows no such lock
        while not try_lock(descriptor, alone=True) and time.monotonic() < end:
            time.sleep(_PAUSE)

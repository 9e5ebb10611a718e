"""Locks between processes: flock(2) on a file, which the kernel frees at once when their process is killed.

The store needs shared locks, which portable libraries do not have.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import BusyError
from skillpm.storage.files import DiskErrors, storage_error

WAIT = 300.0  # seconds to wait for another skillpm
_PAUSE = 0.02  # seconds between two tries
_TRIES = 100  # another process may remove a new folder


def try_lock(descriptor: int, *, alone: bool) -> bool:
    """Take the lock of an open file, or change its kind; return False if another process has it.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


class ProcessLock:
    """A lock on one file. An exclusive holder may remove the file; waiting processes then make a new one.

    A missing folder of the file is made.

    Raises:
        StorageError: the file cannot be opened, or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = self._open()

    def try_exclusive(self) -> bool:
        """Take the exclusive lock without waiting; return False if another process has the lock."""
        return self._try(alone=True)

    def exclusive(self, wait: float = WAIT) -> None:
        """Take the exclusive lock. Raises BusyError if another process has it for ``wait`` seconds."""
        self._wait(wait, alone=True)

    def shared(self, wait: float = WAIT) -> None:
        """Take the shared lock, or change an exclusive one to it. Raises BusyError."""
        self._wait(wait, alone=False)

    def close(self) -> None:
        """Free the lock and close the file."""
        os.close(self._descriptor)

    def _wait(self, wait: float, *, alone: bool) -> None:
        end = time.monotonic() + wait
        while not self._try(alone=alone):
            if time.monotonic() > end:
                raise BusyError(
                    f"another skillpm has held {self.path} for {wait:.0f} seconds",
                    hint="wait until it ends, then run the command again",
                )
            time.sleep(_PAUSE)

    def _try(self, *, alone: bool) -> bool:
        with DiskErrors("lock", self.path):
            if not try_lock(self._descriptor, alone=alone):
                return False
        if self.stands():
            return True
        removed, self._descriptor = self._descriptor, self._open()
        os.close(removed)
        return False

    def _open(self) -> int:
        mode = os.O_RDWR | os.O_CREAT
        with DiskErrors("lock", self.path):
            for _ in range(_TRIES):
                with contextlib.suppress(FileNotFoundError, FileExistsError):  # the folder was removed in between
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    return os.open(self.path, mode, 0o666)
            return os.open(self.path, mode, 0o666)

    def stands(self) -> bool:
        """Is the open file still at its path? Its holder may have removed it while we waited."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False


@contextlib.contextmanager
def locked(path: Path, wait: float = WAIT) -> Iterator[ProcessLock]:
    """Hold the exclusive lock on a file, which the holder may remove. Raises StorageError, BusyError."""
    with contextlib.closing(ProcessLock(path)) as lock:
        lock.exclusive(wait)
        yield lock


@contextlib.contextmanager
def turns(folder: Path, wait: float = 10.0, *, strict: bool = False) -> Iterator[None]:
    """Let processes that work in one folder take turns, for at most ``wait`` seconds each.

    Use it for work that is correct without a lock too: it continues if the file system has no locks, or if another
    process was stopped during its turn. It locks the folder itself and makes no file. With ``strict``, the work is not
    correct without a lock, so an error is raised instead.

    Raises:
        StorageError: the folder cannot be opened; with ``strict`` also if the file system has no locks.
        BusyError: with ``strict``, another process had the turn for ``wait`` seconds.
    """
    with DiskErrors("open", folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _has_turn(folder, descriptor, wait, strict=strict) and strict:
            raise BusyError(f"another process has written to {folder} for {wait:.0f} seconds", hint="try again later")
        yield
    finally:
        os.close(descriptor)


def _has_turn(folder: Path, descriptor: int, wait: float, *, strict: bool) -> bool:
    end = time.monotonic() + wait
    try:
        while not try_lock(descriptor, alone=True):
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE)
    except OSError as error:  # the file system has no locks
        if strict:
            raise storage_error("lock", folder, error) from None
    return True

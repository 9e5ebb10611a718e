"""The kernel's locks on an open file, exclusive or shared. The kernel frees a lock when its process ends.

POSIX systems have flock(2). Windows locks ranges of bytes, each for one handle only (msvcrt.locking, which is
LockFile): an exclusive lock takes the whole range, and each sharer takes one byte of it.
"""

from __future__ import annotations

import errno
import os
import sys

_HELD_BY_OTHERS = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt
    import random

    _SHARERS = 1 << 16  # bytes of the range; they need not exist
    _held: dict[int, tuple[int, int]] = {}  # descriptor: first byte, number of bytes

    def _lock(descriptor: int, alone: bool) -> None:
        if descriptor in _held:
            _range(descriptor, msvcrt.LK_UNLCK, *_held.pop(descriptor))
        wanted = (0, _SHARERS) if alone else (random.randrange(_SHARERS), 1)
        _range(descriptor, msvcrt.LK_NBLCK, *wanted)
        _held[descriptor] = wanted

    def _forget(descriptor: int) -> None:
        _held.pop(descriptor, None)

    def _range(descriptor: int, mode: int, first: int, count: int) -> None:
        os.lseek(descriptor, first, os.SEEK_SET)
        msvcrt.locking(descriptor, mode, count)

else:
    import fcntl

    def _lock(descriptor: int, alone: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)

    def _forget(descriptor: int) -> None:
        pass


def try_lock(descriptor: int, *, alone: bool) -> bool:
    """Take the lock of an open file, or change its kind; return False if another process has it.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        _lock(descriptor, alone)
    except OSError as error:
        if error.errno in _HELD_BY_OTHERS:
            return False
        raise
    return True


def close(descriptor: int) -> None:
    """Close the file, which frees its lock."""
    _forget(descriptor)
    os.close(descriptor)

"""Rights that a process holds beyond its files: it gives up every capability, for good, as root too.

Source: ``capabilities(7)``, ``prctl(2)``, ``setrlimit(2)``; the numbers are those of ``linux/capability.h`` and
``linux/securebits.h``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import struct
import sys

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 23, 24, 28, 38
_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 47, 4
_VERSION_3 = 0x20080522
_HEADER, _SETS = "=Ii", "=6I"  # version and process; effective, permitted and inheritable, twice 32 bits
# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, KEEP_CAPS off, and each locked
_SECUREBITS = 0b11_10_11_11
_MOST = 64  # capabilities that a kernel can have


def drop() -> None:
    """Give up every capability and every way to get one back; nothing to do if there are none.

    Raises:
        OSError: a capability is still there.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(
        _PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0
    )  # these two need CAP_SETPCAP; without it, no_new_privs is enough
    for number in range(_MOST):
        if libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) < 0:
            break
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack(_HEADER, _VERSION_3, 0)
    libc.capset(header, struct.pack(_SETS, *[0] * 6))
    if any(capabilities()):
        raise OSError("the capabilities of this process cannot be given up")


def capabilities() -> tuple[int, ...]:
    """Return the effective, permitted and inheritable capabilities of this process, as masks in two parts."""
    sets = ctypes.create_string_buffer(struct.calcsize(_SETS))
    ctypes.CDLL(None).capget(struct.pack(_HEADER, _VERSION_3, 0), sets)
    return struct.unpack(_SETS, sets.raw)


def count_apart() -> bool:
    """As root, let the kernel count this process and its threads under a user of their own; did it agree?

    The kernel holds nobody whose real user is root to a number of processes. The effective user stays, and with it
    every right to files. Not for processes that start programs: these would run as that user.
    """
    if sys.platform != "linux" or os.getuid() != 0:
        return False
    for user in ((1 << 30) + random.getrandbits(28), 61_000 + random.getrandbits(11)):  # few users in a container
        with contextlib.suppress(OSError):
            os.setresuid(user, -1, -1)
            return True
    return False

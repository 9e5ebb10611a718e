"""Landlock by system call: which files this process, and all that it starts, may read, write and execute.

Source: Linux ``Documentation/userspace-api/landlock.rst``; ABI 1 files, 4 TCP, 6 signals and abstract sockets.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHARACTER, _MAKE_SOCKET, _MAKE_FIFO, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 10, 1 << 11
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_NEVER_WRITTEN = _EXECUTE | _IOCTL_DEVICE | _MAKE_CHARACTER | _MAKE_SOCKET | _MAKE_FIFO | _MAKE_BLOCK
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many bits of the mask an ABI knows
DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")))
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract Unix sockets, signals


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(*arguments: object) -> int:
    result = int(_libc().syscall(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def abi_version() -> int:
    """Return the version of Landlock that this kernel speaks; 0 if it has none."""
    if sys.platform != "linux":
        return 0
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_CREATE_RULESET_VERSION))
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class Grants:
    """What stays possible; paths that are not there are skipped.

    Attributes:
        read: trees that may be read.
        hidden: files and trees in them whose files may not be read; their names stay visible. A file that appears in a
            folder above one later cannot be read either.
        write: trees in which files, folders and links may be made, changed and removed, but not executed.
        execute: programs that may be read and executed.
        network: is TCP left alone?
        devices: device files that may be read and written.
    """

    read: Iterable[Path]
    write: Iterable[Path]
    execute: Iterable[Path]
    network: bool
    devices: Iterable[Path] = DEVICES
    hidden: Sequence[Path] = ()


def restrict(grants: Grants, abi: int) -> None:
    """Confine this thread and what it starts, for good, as this version of the ABI can do it.

    Raises:
        OSError: the kernel refused.
    """
    files = (1 << _FILE_RIGHTS_BY_ABI[min(abi, 5)]) - 1
    tcp = _TCP if abi >= 4 and not grants.network else 0
    attributes = struct.pack("=QQQ", files, tcp, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
    try:
        trees = [*grants.read]
        rights = [
            *((path, _READ_DIR) for path in trees),
            *((path, _READ_FILE) for tree in trees for path in _without(tree, grants.hidden)),
            *((path, files & ~_NEVER_WRITTEN) for path in grants.write),
            *((path, _READ_FILE | _EXECUTE) for path in grants.execute),
            *((path, _READ_FILE | _WRITE_FILE) for path in grants.devices),
        ]
        for path, allowed in rights:
            _add_path(ruleset, path, allowed & files)
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError("no_new_privs was refused")
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _without(tree: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield the files and trees that together are a tree without what is hidden in it.

    A rule holds for all that lies below, so a folder above something hidden is replaced by what else it holds. Links
    are left out, because a rule for one would hold for its target.
    """
    if tree in hidden:
        return
    if not any(path.is_relative_to(tree) for path in hidden):
        yield tree
        return
    with contextlib.suppress(OSError), os.scandir(tree) as entries:
        for entry in entries:
            if not entry.is_symlink():
                yield from _without(tree / entry.name, hidden)


def _add_path(ruleset: int, path: Path, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= _FILE_ONLY
        if not allowed:
            return  # the kernel refuses a rule that allows nothing
        rule = struct.pack("=Qi", allowed, descriptor)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)

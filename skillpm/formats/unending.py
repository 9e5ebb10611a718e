"""Paths that lead to no file: a read of them may wait for ever, or go on for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_TERMINALS = ("/dev/tty", "/dev/pts/", "/dev/console")
_DESCRIPTORS = ("/proc/", "/dev/fd/")  # where a shell hands over a pipe: `<(command)`, and stdin


def unending(path: Path) -> str | None:
    """Return what a path leads to, such as ``a terminal``, where a read of it may never end; else None.

    A pipe that a shell hands over ends with its writer, and the null device is empty.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says why it cannot
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    real = os.path.realpath(path)
    if stat.S_ISFIFO(mode):
        return None if real.startswith(_DESCRIPTORS) else "a named pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    if real.startswith(_TERMINALS):
        return "a terminal"
    return None if real == os.devnull else "a device"

"""A process ends with the one that started it, however that ends. Linux does this; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_ORPHANED = 3  # exit code


def end_with_parent(parent: int = 0, number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when the thread that started it ends.

    A program that it becomes gets it, too.

    Args:
        parent: the process that must be our parent, or we end now; 0 where another program wraps this one.
        number: of the signal.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if parent and os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(_ORPHANED)

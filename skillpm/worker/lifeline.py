"""A worker and all that it started end with their host, however that ends: by a signal, by SIGKILL, by a crash.

The lifeline is a pipe to which nothing is ever written: all that can happen is that the host's end closes. There are
three nets, since skill code can ignore the signal of the first:

1. The kernel sends SIGIO to the worker when the lifeline ends. This works on every POSIX system.
2. Linux kills the worker when the thread that started it ends (``PR_SET_PDEATHSIG``); the filter of system calls keeps
   skill code from taking that back.
3. A program that the worker starts gets no such signal. So a worker that may start programs has a watcher: a process
   outside its confinement that waits for the end of the lifeline and kills the whole group. Where a wrapper such as
   bwrap starts the worker, the namespace of processes ends with it, and no watcher is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_ORPHANED = 3  # exit code


def end_with(lifeline: int, host: int) -> None:
    """Have the kernel end this process when the host is gone, even in the middle of a loop that holds the interpreter.

    ``host`` is the process that must be our parent; 0 where another program wraps this one.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if host and os.getppid() != host:  # it ended before the kernel was asked
            os._exit(_ORPHANED)


def watch(lifeline: int) -> None:
    """Start the watcher of this process's group; to be called before this process confines itself."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:  # a grandchild, so that no wait of skill code finds it
            _kill_group_at_end(lifeline)
    finally:
        os._exit(0)


def _kill_group_at_end(lifeline: int) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_IGN)
    os.closerange(0, lifeline)
    os.closerange(lifeline + 1, os.sysconf("SC_OPEN_MAX"))
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)

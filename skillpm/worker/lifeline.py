"""A worker and all that it started end with their host, however that ends: by a signal, by SIGKILL, by a crash.

The lifeline is a pipe to which nothing is ever written: all that can happen is that the host's end closes. There are
three nets, since skill code can ignore the signal of the first:

1. The kernel sends SIGIO to the worker when the lifeline ends. This works on every POSIX system.
2. Linux kills the worker when the thread that started it ends (``PR_SET_PDEATHSIG``); the filter of system calls keeps
   skill code from taking that back.
3. A program that the worker starts gets no such signal. So a worker that may start programs has a watcher, which kills
   the whole group (``watcher.py``).
"""

from __future__ import annotations

import fcntl
import os
import signal

from skillpm.sandbox.parent import end_with_parent


def end_with(lifeline: int, host: int) -> None:
    """Have the kernel end this process when the host is gone, even in the middle of a loop that holds the interpreter.

    ``host`` is the process that must be our parent; 0 where another program wraps this one.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    end_with_parent(host)

"""A process beside a worker that starts programs, outside its confinement: it signals them for it, or kills them all.

The filter of system calls lets a worker signal nothing but itself, since a filter sees a number and does not know whose
it is. So ``os.kill`` asks the watcher, which signals processes of the worker's group alone. The filter lets nothing
leave the group: whatever the worker started is in it, and nothing else is.

A program gets no signal of the kernel when the host is gone. The watcher sees it, by the lifeline and by the end of the
worker, and kills the group. Skill code can hold the lifeline open or read from it; the end of the worker it cannot put
off.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import signal
import socket
import threading
from array import array
from collections.abc import Callable, Sequence

_NUMBER, _BYTES = "q", 8  # a question is two: of the process and of the signal; an answer is that of the error, or 0


def watch(lifeline: int, *, wrapped: bool) -> Callable[[int, int], None]:
    """Start the watcher of this process's group; to be called before this process confines itself.

    Args:
        lifeline: ends with the host.
        wrapped: does another program start this process? All ends with that one, which lives to tell how this ended.

    Returns:
        What takes the place of ``os.kill`` where the filter refuses it.
    """
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)  # skill code cannot make the watcher wait for a rest
    ends = [lifeline, *([] if wrapped else _end_of_this_process())]
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        theirs.close()
        for descriptor in ends[1:]:
            os.close(descriptor)
        return _Signals(ours).send
    try:
        if os.fork() == 0:  # a grandchild, so that no wait of skill code finds it
            _serve(ends, theirs)
    finally:
        os._exit(0)


def _end_of_this_process() -> list[int]:
    """Return a descriptor that can be read when this process has ended; none on a system that has no such thing."""
    with contextlib.suppress(OSError, AttributeError):
        return [os.pidfd_open(os.getpid())]
    return []


class _Signals:
    """Signals that the watcher sends for this process.

    Args:
        watcher: the connection to it. A fork of this process could get the answers that are ours, so it does not ask.
    """

    def __init__(self, watcher: socket.socket) -> None:
        self._watcher = watcher
        self._turn = threading.Lock()
        self._process = os.getpid()
        self._kill = os.kill

    def send(self, process: int, number: int) -> None:
        """Send a signal as ``os.kill`` does, to this process or one that it started; not to a group.

        Raises:
            OSError: there is no such process, or it is not of the group.
        """
        if process == self._process or os.getpid() != self._process:
            self._kill(process, number)
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a handler may signal, or raise
        try:
            with self._turn:
                self._watcher.send(array(_NUMBER, (process, number)))
                (error,) = array(_NUMBER, self._watcher.recv(_BYTES))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if error:
            raise OSError(error, os.strerror(error))


def _serve(ends: Sequence[int], worker: socket.socket) -> None:
    """Answer the questions of the worker; kill the group when one of the other descriptors says that it is time."""
    try:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_IGN)
        asking = worker.fileno()
        for one, other in itertools.pairwise(sorted((-1, *ends, asking, os.sysconf("SC_OPEN_MAX")))):
            os.closerange(one + 1, other)
        worker.setblocking(False)
        waiting = select.poll()  # for numbers of any size, as those of a host with many open files are
        for descriptor in (*ends, asking):
            waiting.register(descriptor, select.POLLIN)
        while [descriptor for descriptor, _ in waiting.poll()] == [asking]:
            if not _answered(worker):  # skill code can end the connection; the watcher stays
                waiting.unregister(asking)
                worker.close()
    finally:
        os.killpg(0, signal.SIGKILL)


def _answered(worker: socket.socket) -> bool:
    """Answer a question; return whether there can be more."""
    try:
        question = worker.recv(2 * _BYTES)
        if len(question) == 2 * _BYTES:
            worker.send(array(_NUMBER, [_signal(*array(_NUMBER, question))]))
    except BlockingIOError:  # who does not read the answers gets none
        return True
    except OSError:
        return False
    return bool(question)


def _signal(process: int, number: int) -> int:
    """Send a signal to a process of our group, and return 0 or the number of the error."""
    try:
        descriptor = os.pidfd_open(process)  # its number may be another's in a moment, this stays its own
        try:
            ours = (os.getpid(), os.getppid())  # within bubblewrap, its own process is our parent and in our group
            if process in ours or os.getpgid(process) != os.getpgrp():
                return errno.EPERM
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno or errno.EINVAL
    except (ValueError, OverflowError):
        return errno.EINVAL
    return 0

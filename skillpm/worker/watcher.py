"""A process beside a worker that starts programs, outside its confinement: it signals them for it, or kills them all.

The filter of system calls lets a worker signal nothing but itself, since a filter sees a number and does not know whose
it is. So ``os.kill`` asks the watcher, which signals processes of the worker's group alone. The filter lets nothing
leave the group: whatever the worker started is in it, and nothing else is.

A program gets no signal of the kernel when the host is gone. The watcher sees it by the lifeline and kills the group.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import threading
from array import array
from collections.abc import Callable

_NUMBER, _BYTES = "q", 8  # a question is two: of the process and of the signal; an answer is that of the error, or 0


def watch(lifeline: int) -> Callable[[int, int], None]:
    """Start the watcher of this process's group; to be called before this process confines itself.

    Returns:
        What takes the place of ``os.kill`` where the filter refuses it.
    """
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)  # skill code cannot make the watcher wait for a rest
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        theirs.close()
        return _Signals(ours).send
    try:
        if os.fork() == 0:  # a grandchild, so that no wait of skill code finds it
            _serve(lifeline, theirs)
    finally:
        os._exit(0)


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
        with self._turn:
            self._watcher.send(array(_NUMBER, (process, number)))
            (error,) = array(_NUMBER, self._watcher.recv(_BYTES))
        if error:
            raise OSError(error, os.strerror(error))


def _serve(lifeline: int, worker: socket.socket) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_IGN)
    first, second = sorted((lifeline, worker.fileno()))
    os.closerange(0, first)
    os.closerange(first + 1, second)
    os.closerange(second + 1, os.sysconf("SC_OPEN_MAX"))
    worker.setblocking(False)
    ends = [lifeline, worker.fileno()]
    with contextlib.suppress(OSError):
        while lifeline not in select.select(ends, [], [])[0] and (question := worker.recv(2 * _BYTES)):
            if len(question) == 2 * _BYTES:
                _answer(worker, _signal(*array(_NUMBER, question)))
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _answer(worker: socket.socket, error: int) -> None:
    with contextlib.suppress(BlockingIOError):  # who does not read the answers gets none
        worker.send(array(_NUMBER, [error]))


def _signal(process: int, number: int) -> int:
    """Send a signal to a process of our group, and return 0 or the number of the error."""
    try:
        descriptor = os.pidfd_open(process)  # its number may be another's in a moment, this stays its own
        try:
            if process == os.getpid() or os.getpgid(process) != os.getpgrp():
                return errno.EPERM
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno or errno.EINVAL
    except (ValueError, OverflowError):
        return errno.EINVAL
    return 0

"""A thread that starts processes and lasts as long as ours: the kernel ends a worker with the thread that starts it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

Start = Callable[[], "subprocess.Popen[bytes]"]


class Starter:
    """Starts processes for any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process = 0  # whose thread it is; a fork of our process has none
        self._queue: SimpleQueue[tuple[Start, Future[subprocess.Popen[bytes]]]] = SimpleQueue()

    def start(self, start: Start) -> subprocess.Popen[bytes]:
        """Return what ``start`` returns, called in the lasting thread.

        Raises:
            OSError: the process cannot be started.
        """
        with self._turn:
            if self._process != os.getpid():
                self._process, self._queue = os.getpid(), SimpleQueue()
                threading.Thread(target=_serve, args=(self._queue,), name="starting workers", daemon=True).start()
        future: Future[subprocess.Popen[bytes]] = Future()
        self._queue.put((start, future))
        try:
            return future.result()
        except KeyboardInterrupt:  # the process may be there in a moment, and then nobody knows it
            future.add_done_callback(_end)
            raise


def _serve(queue: SimpleQueue[tuple[Start, Future[subprocess.Popen[bytes]]]]) -> None:
    while True:
        start, future = queue.get()
        try:
            future.set_result(start())
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that asked
            future.set_exception(error)
        del start, future


def _end(future: Future[subprocess.Popen[bytes]]) -> None:
    if future.exception() is None:
        future.result().kill()


STARTER = Starter()

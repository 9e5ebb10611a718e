"""One request and its reply over a worker's pipes, under a deadline; what comes back is bytes that nobody checked."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time

from skillpm.errors import VerifierError
from skillpm.sandbox.limits import Limits
from skillpm.worker.child import Child
from skillpm.worker.protocol import HEADER, Fault, pack

_TICK = 0.05  # seconds between looks at whether the process is alive; the pipe's end normally tells at once
_CHUNK = 1 << 20


class Exchange:
    """The host's side of a worker's pipes."""

    def __init__(self, child: Child, limits: Limits) -> None:
        self._child = child
        self._limits = limits
        self._output = bytearray()
        self._output_ended = False

    def ask(self, payload: bytes, seconds: float, most: int, cancelled: threading.Event | None) -> bytes:
        """Send one request and return its reply of at most so many bytes; it is not waited for if ``cancelled`` is set.

        Raises:
            VerifierError: ``details['kind']`` is a Fault.
            OSError: a pipe is broken.
        """
        deadline = time.monotonic() + seconds
        self._output.clear()  # what was printed before is about other answers
        outgoing = memoryview(pack(payload))
        incoming = bytearray()
        child = self._child
        # All three pipes are served at once: a worker that prints, or replies before it has read everything, would
        # otherwise wait for us while we wait for it.
        with selectors.DefaultSelector() as selector:
            selector.register(child.replies, selectors.EVENT_READ)
            selector.register(child.requests, selectors.EVENT_WRITE)
            if not self._output_ended:
                selector.register(child.output, selectors.EVENT_READ)
            while True:
                left = self._seconds_left(deadline, seconds, cancelled)
                ready = {key.fd for key, _ in selector.select(min(left, _TICK))}
                if child.output in ready and not self._listen():
                    selector.unregister(child.output)
                if child.requests in ready:
                    outgoing = self._write(outgoing)
                    if not outgoing:
                        selector.unregister(child.requests)
                if child.replies in ready:
                    if child.ended():
                        child.kill()  # whatever it left behind must not go on writing for it
                    if self._read(incoming, most):
                        return bytes(memoryview(incoming)[HEADER.size :])
                elif not ready and child.ended():
                    raise self._crash()

    def _seconds_left(self, deadline: float, seconds: float, cancelled: threading.Event | None) -> float:
        if cancelled is not None and cancelled.is_set():
            raise VerifierError("the call was cancelled", kind=Fault.SPENT)
        left = deadline - time.monotonic()
        if left <= 0:
            message = f"no verdicts after {seconds:.0f} seconds{self._last_words()}"
            raise VerifierError(message, kind=Fault.TIMEOUT)
        return left

    def _write(self, outgoing: memoryview) -> memoryview:
        try:
            return outgoing[os.write(self._child.requests, outgoing[:_CHUNK]) :]
        except BlockingIOError:
            return outgoing
        except BrokenPipeError:
            raise self._crash() from None

    def _read(self, incoming: bytearray, most: int) -> bool:
        """Read what is there; has the frame arrived whole?"""
        chunk = os.read(self._child.replies, _CHUNK)
        if not chunk:
            raise self._crash()
        incoming += chunk
        if len(incoming) < HEADER.size:
            return False
        (size,) = HEADER.unpack_from(incoming)
        if size > most:
            raise VerifierError(f"a reply of {size} bytes, more than {most}", kind=Fault.REPLY)
        if len(incoming) > HEADER.size + size:
            raise VerifierError("more than one reply to one request", kind=Fault.REPLY)
        return len(incoming) == HEADER.size + int(size)

    def _listen(self) -> bool:
        """Remember the last of what the skill prints; has its output not ended?"""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._child.output, _CHUNK)
            if not chunk:
                self._output_ended = True
                return False
            self._output += chunk
            del self._output[: -self._limits.output_bytes]
        return True

    def _crash(self) -> VerifierError:
        way = self._child.end()
        if not self._output_ended:
            self._listen()
        return VerifierError(f"{way}{self._last_words()}", kind=Fault.CRASH)

    def _last_words(self) -> str:
        lines = self._output.decode(errors="backslashreplace").strip().splitlines()
        return f" (it said: {lines[-1][:300]})" if lines else ""

"""A started worker as an operating system sees it: a process with three pipes, and whatever it starts in turn."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from skillpm.worker.starter import STARTER

_LAST_SECONDS = 1.0  # for a process whose pipe has ended to end by itself
_LOOK_SECONDS = 0.005  # between looks at whether it has
_SIGNALLED = 128  # shells, and bwrap and its like, add it to the number of the signal that ended a program
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ

Descriptors = tuple[int, int, int]
"""What a child inherits: where requests come from, where replies go, and the lifeline, whose end it ends with."""


class Child:
    """A child process in a group of its own.

    Args:
        command: returns the words to start, given the descriptors that the child inherits.
        wrapped: is it started by another program, which reports a signal in its exit code?

    Raises:
        OSError: it cannot be started.
        SkillpmError: ``command`` raised it.
    """

    def __init__(
        self,
        command: Callable[[Descriptors], list[str]],
        folder: Path,
        environment: Mapping[str, str],
        *,
        wrapped: bool,
    ) -> None:
        self._wrapped = wrapped
        their_requests, self.requests = os.pipe()
        self.replies, their_replies = os.pipe()
        their_lifeline, self._lifeline = os.pipe()
        inherited = (their_requests, their_replies, their_lifeline)
        _enlarge(self.requests, self.replies)
        try:
            words = command(inherited)
            self._process = STARTER.start(
                lambda: subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=environment,
                    pass_fds=inherited,
                    start_new_session=True,
                )
            )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for descriptor in inherited:
                os.close(descriptor)
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        for descriptor in (self.requests, self.replies, self.output):
            os.set_blocking(descriptor, False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ended(self) -> bool:
        """Is it dead?"""
        return has_ended(self._process)

    def kill(self) -> None:
        """End it and all that it started."""
        kill_group(self._process)

    def end(self) -> str:
        """Kill what no longer answers, and return in words how it ended."""
        deadline = time.monotonic() + _LAST_SECONDS
        while not (ended := self.ended()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self.kill()
        if not ended:
            return "the worker closed its pipe"
        code = self._process.returncode
        if self._wrapped and _SIGNALLED < code < _SIGNALLED + signal.NSIG:
            code = _SIGNALLED - code
        return f"the worker was ended by {_signal_name(-code)}" if code < 0 else f"the worker exited with code {code}"

    def close(self) -> None:
        """End it, and close its pipes; once."""
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for descriptor in (self.requests, self.replies, self._lifeline):
            os.close(descriptor)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Is a process dead? It is not reaped, so that its number stays its own until its group has been killed."""
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return process.returncode is not None or os.waitid(os.P_PID, process.pid, options) is not None


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, unless it was reaped; the kernel ends what has left a bubblewrap."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _signal_name(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")  # real-time ones


def _enlarge(*descriptors: int) -> None:
    """Ask for larger pipes, so that a batch takes fewer turns; 64 KiB do as well."""
    if sys.platform != "linux":
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)

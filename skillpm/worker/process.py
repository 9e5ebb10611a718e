"""One worker process seen from the host: spawn, one request and its reply under a deadline, kill.

Whatever comes back is bytes that nobody has checked yet. A worker that failed in any way is not used again.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from skillpm.errors import SkillpmError, VerifierError
from skillpm.model.manifest import Permissions
from skillpm.model.ports import Enclosure
from skillpm.model.skill import Skill
from skillpm.runtime.collect import trace
from skillpm.runtime.described import Described
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Confinement, Sandbox, choose, interpreter, readable, runnable
from skillpm.worker.environments import Environment
from skillpm.worker.protocol import HEADER, Fault, encode, pack, read_reply

_LAST_SECONDS = 1.0  # for a worker whose pipe has ended to end by itself
_SIGNALLED = 128
_TICK = 0.05  # seconds between looks at whether the process is alive; the pipe's end normally tells at once
_CHUNK = 1 << 20
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ

# -I -S: no PYTHON* variables, no working directory, no user site, no .pth files; the folders in which our own process
# finds packages are added by name. -B and the hash flag: bytecode beside a source is neither written nor believed.
_FLAGS = ("-I", "-S", "-B", "--check-hash-based-pycs", "always")
_BOOTSTRAP = "import sys; sys.path += sys.argv[4:]; from skillpm.worker.main import main; main(sys.argv[1:4])"
_PACKAGES = ("site-packages", "dist-packages")


class WorkerProcess:
    """A running worker.

    Args:
        skill: whose code it runs.
        permissions: what it is given.
        limits: of time, memory and sizes.
        sandbox: how it is confined; the strongest level of this machine where None.
        environment: of its own Python packages, or None.
        cancelled: ends the start where it is set.

    Raises:
        VerifierError: it could not start; ``details['kind']`` is ``Fault.START``.
    """

    def __init__(
        self,
        skill: Skill,
        permissions: Permissions,
        limits: Limits,
        sandbox: Sandbox | None = None,
        environment: Environment | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.skill = skill
        self._limits = limits
        self._sandbox = sandbox or choose()
        self._scratch = Path(tempfile.mkdtemp(prefix="skillpm-worker-")).resolve()
        packages = _packages()
        own = () if environment is None else (environment.packages,)
        confinement = Confinement(
            skill=skill.root.resolve(),
            scratch=self._scratch,
            packages=(*own, *packages),
            network=permissions.network,
            programs=permissions.run,
        )
        self._said = bytearray()
        self._closed = False
        theirs, self._requests = os.pipe()
        self._replies, their_replies = os.pipe()
        their_lifeline, self._lifeline = os.pipe()
        handed = (theirs, their_replies, their_lifeline)
        _enlarge(self._requests, self._replies)
        try:
            self._process = subprocess.Popen(
                self._command(handed, packages, confinement),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._scratch,
                env=_environment(self._scratch),
                pass_fds=handed,
                start_new_session=True,
            )
        except (OSError, SkillpmError) as error:
            for descriptor in (self._requests, self._replies, self._lifeline):
                os.close(descriptor)
            shutil.rmtree(self._scratch, ignore_errors=True)
            reason = error.message if isinstance(error, SkillpmError) else str(error)
            raise VerifierError(f"the worker cannot be started: {reason}", skill=skill.name, kind=Fault.START) from None
        finally:
            for descriptor in handed:
                os.close(descriptor)
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        for descriptor in (self._requests, self._replies, self._output):
            os.set_blocking(descriptor, False)
        self.described = self._start(confinement, environment, cancelled)
        self.payable = self.described.payable(has_code=bool(SkillFiles(skill).code()))

    def _command(self, handed: tuple[int, ...], packages: tuple[Path, ...], confinement: Confinement) -> list[str]:
        words = [sys.executable, *_FLAGS, "-c", _BOOTSTRAP, *map(str, handed), *map(str, packages)]
        if self._sandbox.enclose is None:
            return words
        enclosure = Enclosure(
            words=tuple(words),
            read=(*interpreter(Path(sys.executable)), *readable(confinement)),
            run=tuple(runnable(confinement)),
            scratch=confinement.scratch,
            network=confinement.network,
            descriptors=handed,
        )
        return list(self._sandbox.enclose(enclosure))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _start(
        self, confinement: Confinement, environment: Environment | None, cancelled: threading.Event | None
    ) -> Described:
        number = new_number()
        start = {
            "number": number,
            "skill": {**asdict(self.skill), "root": str(confinement.skill)},
            "scratch": str(confinement.scratch),
            "packages": [str(path) for path in confinement.packages],
            "own": None if environment is None else str(environment.packages),
            "network": confinement.network,
            "programs": confinement.programs,
            "level": self._sandbox.level,
            "limits": asdict(self._limits),
        }
        try:
            reply = self.call(encode(start), self._limits.start_seconds, cancelled)
            described = read_reply(Described, reply, number)
            for call in described.calls:
                trace(call.hook, call.plugin, f"in the worker of {self.skill.name}", call.outcome, call.seconds)
            if described.error is not None:
                raise VerifierError(described.error, kind=Fault.START)
        except VerifierError as error:
            self.close()
            raise VerifierError(
                error.message, hint=f"run `skillpm selftest {self.skill.name}`", skill=self.skill.name, kind=Fault.START
            ) from None
        except BaseException:
            self.close()
            raise
        return described

    def call(self, payload: bytes, seconds: float, cancelled: threading.Event | None = None) -> bytes:
        """Send one request and return its reply, unchecked; it is not waited for where ``cancelled`` is set.

        Raises:
            VerifierError: ``details['kind']`` is a Fault; the worker is closed.
        """
        try:
            return self._exchange(payload, seconds, cancelled)
        except VerifierError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise VerifierError(f"the worker cannot be reached: {error.strerror}", kind=Fault.CRASH) from None

    def _exchange(self, payload: bytes, seconds: float, cancelled: threading.Event | None) -> bytes:
        deadline = time.monotonic() + seconds
        self._said.clear()  # what it said before is of other answers
        outgoing = memoryview(pack(payload))
        incoming = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._replies, selectors.EVENT_READ)
            selector.register(self._requests, selectors.EVENT_WRITE)
            if not self._output_ended:
                selector.register(self._output, selectors.EVENT_READ)
            while True:
                if cancelled is not None and cancelled.is_set():
                    raise VerifierError("the call was cancelled", kind=Fault.SPENT)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise VerifierError(
                        f"no verdicts after {seconds:.0f} seconds{self._last_words()}", kind=Fault.TIMEOUT
                    )
                ready = {key.fd for key, _ in selector.select(min(left, _TICK))}
                if self._output in ready and not self._listen():
                    selector.unregister(self._output)
                if self._requests in ready:
                    outgoing = self._write(outgoing)
                    if not outgoing:
                        selector.unregister(self._requests)
                if self._replies in ready:
                    if self._ended():
                        self.kill()  # whatever it left behind must not go on writing for it
                    if self._read(incoming):
                        return bytes(memoryview(incoming)[HEADER.size :])
                elif not ready and self._ended():
                    raise self._crash()

    def _write(self, outgoing: memoryview) -> memoryview:
        try:
            return outgoing[os.write(self._requests, outgoing[:_CHUNK]) :]
        except BlockingIOError:
            return outgoing
        except BrokenPipeError:
            raise self._crash() from None

    def _read(self, incoming: bytearray) -> bool:
        """Read what is there; has the frame arrived whole?"""
        chunk = os.read(self._replies, _CHUNK)
        if not chunk:
            raise self._crash()
        incoming += chunk
        if len(incoming) < HEADER.size:
            return False
        (size,) = HEADER.unpack_from(incoming)
        if size > self._limits.frame_bytes:
            raise VerifierError(f"a reply of {size} bytes, more than {self._limits.frame_bytes}", kind=Fault.REPLY)
        if len(incoming) > HEADER.size + size:
            raise VerifierError("more than one reply to one request", kind=Fault.REPLY)
        return len(incoming) == HEADER.size + int(size)

    _output_ended = False

    def _listen(self) -> bool:
        """Keep the last of what the skill prints; has its output not ended?"""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._output, _CHUNK)
            if not chunk:
                self._output_ended = True
                return False
            self._said += chunk
            del self._said[: -self._limits.output_bytes]
        return True

    def _ended(self) -> bool:
        """Is the worker dead? It is not reaped, so that its number stays its own until its group has been killed."""
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or os.waitid(os.P_PID, self._process.pid, options) is not None

    def kill(self) -> None:
        """End the worker and all that it started."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _crash(self) -> VerifierError:
        deadline = time.monotonic() + _LAST_SECONDS
        while not (ended := self._ended()) and time.monotonic() < deadline:
            time.sleep(_TICK / 10)
        self.kill()
        if not self._output_ended:
            self._listen()
        code = self._process.returncode
        if self._sandbox.enclose is not None and _SIGNALLED < code < _SIGNALLED + signal.NSIG:
            code = _SIGNALLED - code  # bwrap and its like tell of a signal as shells do
        if not ended:
            way = "the worker closed its pipe"
        elif code < 0:
            way = f"the worker was ended by {_signal_name(-code)}"
        else:
            way = f"the worker exited with code {code}"
        return VerifierError(f"{way}{self._last_words()}", kind=Fault.CRASH)

    def _last_words(self) -> str:
        lines = self._said.decode(errors="backslashreplace").strip().splitlines()
        return f" (it said: {lines[-1][:300]})" if lines else ""

    @property
    def output(self) -> str:
        """The last of what the skill printed."""
        if not self._closed and not self._output_ended:
            self._listen()
        return self._said.decode(errors="backslashreplace")

    def close(self) -> None:
        """End the worker and all that it started, and remove its scratch folder."""
        if self._closed:
            return
        self._closed = True
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        for descriptor in (self._requests, self._replies, self._lifeline):
            os.close(descriptor)
        shutil.rmtree(self._scratch, ignore_errors=True)


def _signal_name(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")  # real-time ones


def new_number() -> int:
    """Return the number of a request; one that skill code cannot guess before it is asked."""
    return secrets.randbits(48)


@functools.cache
def _packages() -> tuple[Path, ...]:
    """Return the folders in which our own process finds packages, without the working directory and its like."""
    import pydantic

    import skillpm

    ours = [Path(module.__file__ or "").parents[1] for module in (skillpm, pydantic)]
    found = [Path(entry) for entry in sys.path if Path(entry).name in _PACKAGES]
    return tuple(dict.fromkeys(path.resolve() for path in (*ours, *found)))


def _environment(scratch: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG") or name.startswith("LC_")}
    return {**kept, "HOME": str(scratch), "TMPDIR": str(scratch), "PYDANTIC_DISABLE_PLUGINS": "1"}


def _enlarge(*descriptors: int) -> None:
    """Ask for larger pipes, so that a batch takes fewer turns; 64 KiB do as well."""
    if sys.platform != "linux":
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)

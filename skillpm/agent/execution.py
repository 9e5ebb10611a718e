"""Runs the commands of an approved answer: without a shell, confined, bounded, and with nothing left behind.

A tool sees the machine as it is, because it is there to describe it, but it can write only its scratch folder and, if
its contract does not call it read-only, the folder in which it starts. It reads no input and has no terminal. The
network is closed unless skill.yaml asks for it and no policy refuses. Only the programs that skill.yaml names can be
started, each by its absolute path.

A tool that takes too long, prints too much, or starts too many processes is ended with all that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from skillpm.agent.inside import BEGAN
from skillpm.agent.place import Place, search_path
from skillpm.sandbox import bubblewrap, seccomp
from skillpm.sandbox.consumption import descendants, is_full, unlinked_bytes
from skillpm.sandbox.programs import loaders
from skillpm.sandbox.sandbox import tasks
from skillpm.storage.unpack import remove_tree
from skillpm.worker.child import has_ended, kill_group
from skillpm.worker.starter import STARTER

Ended = Literal["exited", "timeout", "output", "processes", "memory", "disk", "stopped", "not-started"]
_BOOTSTRAP = "import sys; sys.path.insert(0, sys.argv[1]); from skillpm.agent.inside import main; main(sys.argv[2])"
_TICK = 0.05  # seconds between looks at the clock
_LOOK = 0.25  # seconds between looks at the processes of a tool
_CHUNK = 1 << 16
_DAY = 86_400  # seconds; no command takes longer, whatever its answer asks for
_SIGNALLED = 128
_SERVICES = ("/run/docker.sock", "/run/podman", "/run/containerd")  # whoever speaks to one can write anywhere


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one command may take.

    Attributes:
        seconds: of its whole run.
        output_bytes: that are kept; more is counted and thrown away.
        flood_bytes: after which it is ended.
        memory_bytes: of all its processes, and of the address space of each.
        file_bytes: of the largest file that it writes.
        scratch_bytes: of all files in its scratch folder.
        stop: is asked again and again; where it says yes, the command is ended.
    """

    seconds: float = 60.0
    output_bytes: int = 1 << 16
    flood_bytes: int = 64 << 20
    processes: int = 128
    memory_bytes: int = 4 << 30
    file_bytes: int = 256 << 20
    scratch_bytes: int = 1 << 30
    stop: Callable[[], bool] = lambda: False

    def of_arguments(self, arguments: Mapping[str, Any], read: frozenset[str]) -> Bounds:
        """Narrow these by the arguments of an answer that no argv reads: ``timeout_seconds`` and ``max_bytes``."""
        seconds, most = (arguments.get(name) if name not in read else None for name in ("timeout_seconds", "max_bytes"))
        return replace(
            self,
            seconds=float(min(seconds, _DAY)) if isinstance(seconds, int) and seconds > 0 else self.seconds,
            output_bytes=min(most, self.output_bytes) if isinstance(most, int) and most > 0 else self.output_bytes,
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """How one command ended.

    Attributes:
        exit_code: its own; 128 and the number of a signal that ended it; None if it never began.
        ended: how: by itself, or by one of the bounds.
        output: the first bytes that it wrote, to both streams, as text.
        written: how many bytes it wrote.
        reason: why it never began.
    """

    argv: tuple[str, ...]
    exit_code: int | None
    ended: Ended
    output: str
    written: int
    seconds: float
    reason: str = ""

    @property
    def succeeded(self) -> bool:
        """Did it end by itself, with exit code 0?"""
        return self.ended == "exited" and self.exit_code == 0

    @property
    def sentence(self) -> str:
        """How it ended, in words."""
        words = {
            "exited": f"exit code {self.exit_code}",
            "timeout": f"ended after {self.seconds:.0f} seconds: it took too long",
            "output": f"ended: it wrote {self.written} bytes, too much to keep",
            "processes": "ended: it started too many processes",
            "memory": "ended: it took too much memory",
            "disk": "ended: it put too much into its scratch folder, or opened or mapped too many files",
            "stopped": "ended: whoever asked for it has gone",
            "not-started": f"not started: {self.reason}",
        }[self.ended]
        kept = len(self.output.encode())
        cut = self.written > kept + 8 and self.ended != "output"  # a cut character is replaced by a longer sign
        return f"{words}; {self.written} bytes of output, of which the first {kept} are kept" if cut else words


def run_commands(argv: Sequence[tuple[str, ...]], place: Place, bounds: Bounds) -> Iterator[Finished]:
    """Run commands one after another, each while the one before it succeeded; they share the time and a scratch folder.

    Raises:
        PolicyError: a program is not permitted, or not there. Nothing has run then.
        UsageError: the place is too wide or missing.
    """
    programs = place.check(argv)
    deadline = time.monotonic() + bounds.seconds
    scratch = Path(tempfile.mkdtemp(prefix="skillpm-tool-")).resolve()
    try:
        for words, program in zip(argv, programs, strict=True):
            left = replace(bounds, seconds=max(0.0, deadline - time.monotonic()))
            finished = _Run(words, program, place, scratch, left).finish()
            yield finished
            if not finished.succeeded:
                return
    finally:
        remove_tree(scratch)  # a tool may have left folders too deep for a recursion, or locked ones


@dataclass
class _Run:
    """One command."""

    argv: tuple[str, ...]
    program: Path
    place: Place
    scratch: Path
    bounds: Bounds
    _kept: bytearray = field(default_factory=bytearray)
    _written: int = 0

    def finish(self) -> Finished:
        """Run it to its end or to a bound. Whatever happens, nothing of it is left."""
        started = time.monotonic()
        status, theirs = os.pipe()
        try:
            process = self._start(theirs)
        except OSError as error:
            os.close(theirs)
            os.close(status)
            return Finished(self.argv, None, "not-started", "", 0, 0.0, error.strerror or str(error))
        os.close(theirs)
        assert process.stdout is not None
        with os.fdopen(status, "rb") as pipe, process.stdout as output:
            try:
                ended = self._watch(process, output, started + self.bounds.seconds)
            finally:
                kill_group(process)
            self._drain(output)
            os.set_blocking(pipe.fileno(), False)
            said = pipe.read() or b""
        code = process.returncode
        text = self._kept.decode(errors="replace")
        if said != BEGAN and ended == "exited":
            reason = said.removeprefix(BEGAN).decode(errors="replace") or text.strip()[-300:]
            return Finished(self.argv, None, "not-started", "", 0, 0.0, reason)
        code = code if code >= 0 else _SIGNALLED - code
        return Finished(self.argv, code, ended, text, self._written, round(time.monotonic() - started, 3))

    def _start(self, status: int) -> subprocess.Popen[bytes]:
        words = self._words(status)
        return STARTER.start(
            lambda: subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.place.folder,
                env=_environment(self.scratch),
                pass_fds=(status,),
                start_new_session=True,
            )
        )

    def _words(self, status: int) -> list[str]:
        place, sandbox = self.place, self.place.sandbox
        writable = (self.scratch, *([place.folder.resolve()] if place.writes else []))
        startable = place.startable
        limits = {
            "RLIMIT_CORE": 0,
            "RLIMIT_AS": self.bounds.memory_bytes,
            "RLIMIT_FSIZE": self.bounds.file_bytes,
            "RLIMIT_NOFILE": 1024,
            **({"RLIMIT_NPROC": self.bounds.processes + tasks()} if os.getuid() else {}),  # root is never counted
        }
        wrapped = sandbox.level == "bubblewrap"
        document = {
            "status": status,
            "host": not wrapped,
            "program": str(self.program),
            "argv": [*self.argv],
            "landlock": sandbox.landlock,
            "writable": [*map(str, writable)],
            "executable": [str(path) for path in (*startable, *loaders(startable))],
            "network": place.permissions.network,
            "hidden": [] if wrapped else [*map(str, place.hidden)],
            "limits": {name: most for name, most in limits.items() if hasattr(resource, name)},
        }
        package = Path(__file__).parents[2]
        words = [sys.executable, "-I", "-S", "-B", "-c", _BOOTSTRAP, str(package), json.dumps(document)]
        if not wrapped:
            return words
        hidden = place.hidden
        hidden += [Path(path) for path in _SERVICES if not place.writes and Path(path).exists()]
        network = place.permissions.network or seccomp.available()  # else a tool that lists ports would see none
        return bubblewrap.tool_command(words, place.folder, writable, hidden, network=network)

    def _watch(self, process: subprocess.Popen[bytes], output: IO[bytes], deadline: float) -> Ended:
        os.set_blocking(output.fileno(), False)
        look = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not has_ended(process):
                now = time.monotonic()
                if now >= deadline:
                    return "timeout"
                if self.bounds.stop():
                    return "stopped"
                if now >= look:
                    look = now + _LOOK
                    started, memory = descendants(process.pid)
                    if len(started) > self.bounds.processes:
                        return "processes"
                    if memory > self.bounds.memory_bytes:
                        return "memory"
                    unlinked = unlinked_bytes([process.pid, *started], self.scratch, self.bounds.file_bytes)
                    if unlinked is None or is_full(self.scratch, self.bounds.scratch_bytes - unlinked):
                        return "disk"
                if not selector.get_map():
                    time.sleep(min(_TICK / 5, deadline - now))
                elif selector.select(min(_TICK, deadline - now)) and not self._read(output):
                    selector.unregister(output)
                if self._written > self.bounds.flood_bytes:
                    return "output"
        return "exited"

    def _read(self, output: IO[bytes]) -> bool:
        """Keep what fits of what is there; has the stream not ended?"""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(output.fileno(), _CHUNK)
            self._written += len(chunk)
            self._kept += chunk[: max(0, self.bounds.output_bytes - len(self._kept))]
            return bool(chunk)
        return True

    def _drain(self, output: IO[bytes]) -> None:
        """Read what is left in the pipe once everything has been ended."""
        for _ in range((1 << 20) // _CHUNK):
            before = self._written
            if not self._read(output) or self._written == before:
                return


def _environment(scratch: Path) -> dict[str, str]:
    """Return the variables of a tool: no secret of ours, and nothing that opens a pager or an editor."""
    ours = {name: text for name, text in os.environ.items() if name in ("LANG", "TZ") or name.startswith("LC_")}
    quiet = {"TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "SYSTEMD_PAGER": "cat", "SYSTEMD_COLORS": "0"}
    return {**ours, **quiet, "PATH": search_path(), "HOME": str(scratch), "TMPDIR": str(scratch)}

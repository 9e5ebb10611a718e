"""Runs the commands of an approved answer: without a shell, confined, bounded, and with nothing left behind.

A tool sees the machine as it is, because it is there to describe it, but it can write only its scratch folder and, if
its contract does not call it read-only, the folder in which it starts. It reads no input and has no terminal. The
network is closed unless skill.yaml asks for it and no policy refuses. Only the programs that skill.yaml names can be
started, each by its absolute path.

A tool that takes too long, prints too much, or starts too many processes is ended with all that it started.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import resource
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from skillpm.agent.inside import BEGAN
from skillpm.errors import PolicyError, UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.model.contract import Tool
from skillpm.model.manifest import Permissions
from skillpm.sandbox import bubblewrap, seccomp
from skillpm.sandbox.programs import loaders
from skillpm.sandbox.sandbox import Sandbox, tasks
from skillpm.storage.unpack import remove_tree
from skillpm.worker.starter import STARTER

Ended = Literal["exited", "timeout", "output", "processes", "memory", "disk", "stopped", "not-started"]
_BOOTSTRAP = "import sys; sys.path.insert(0, sys.argv[1]); from skillpm.agent.inside import main; main(sys.argv[2])"
_TICK = 0.05  # seconds between looks at the clock
_LOOK = 0.25  # seconds between looks at the processes of a tool
_CHUNK = 1 << 16
_DAY = 86_400  # seconds; no command takes longer, whatever its answer asks for
_SIGNALLED = 128
_FILES, _LEVELS = 20_000, 100  # of a scratch folder; as many may be open
_MAPPINGS_BYTES = 4 << 20  # of the kernel's lists of some 40,000; 128 ordinary processes have a third of it
_SECRETS = (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".git-credentials", ".npmrc", ".pypirc",
            ".config/gcloud", ".config/gh")  # fmt: skip
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a tool runs.

    Attributes:
        folder: where it starts.
        writes: may it write there?
        secrets: files and folders that it never reads, besides the usual ones of the home folder.
    """

    folder: Path
    writes: bool
    permissions: Permissions
    sandbox: Sandbox
    secrets: tuple[Path, ...] = ()

    @property
    def hidden(self) -> list[Path]:
        """The secrets that are there, without links."""
        named = (*(typed_path("~") / name for name in _SECRETS), *self.secrets)
        return sorted({path.resolve() for path in named if os.path.exists(path)})  # noqa: PTH110  no error where one may not look

    @property
    def sentence(self) -> str:
        """What it may do, in words."""
        network = "the network" if self.permissions.network else "no network"
        return f"{self.folder}, {'which it may change' if self.writes else 'read only'}, {network}"

    def of(self, tool: Tool, arguments: Mapping[str, Any]) -> Place:
        """Return where a tool would run: in the folder that ``working_directory`` of its arguments names, or here."""
        named = None if "working_directory" in tool.argv_arguments else arguments.get("working_directory")
        folder = self.folder
        if isinstance(named, str):
            folder = folder / named
            with contextlib.suppress(OSError, ValueError):  # `check` refuses what is not there
                folder = folder.resolve(strict=True)  # a person sees, and a tool gets, the folder behind links
        return replace(self, folder=folder, writes=not tool.read_only)

    def program(self, name: str) -> Path:
        """Return the program of a command.

        Raises:
            PolicyError: skill.yaml does not name it, or it is not on PATH.
        """
        if name not in self.permissions.run or "/" in name:
            raise PolicyError(
                f"`{name[:80]}` is not permitted: `permissions.run` of skill.yaml does not name it",
                hint="ask the skill's author, or run the command yourself",
            )
        found = shutil.which(name, path=_path())
        if found is None:
            raise PolicyError(f"`{name[:80]}` is not on PATH", hint=f"install {name[:80]}")
        return Path(found)

    def check(self, argv: Sequence[tuple[str, ...]]) -> list[Path]:
        """Return the program of each command.

        Raises:
            PolicyError: a program is not permitted, or not on PATH, or nothing but its arguments keeps it from secrets.
            UsageError: the folder is missing, or a tool that writes would start in the root or the home folder, or
                above secrets that only bubblewrap can hide there.
        """
        if not os.path.isdir(self.folder):  # noqa: PTH112  no error for a name that no folder can have
            raise UsageError(f"{str(self.folder)[:200]} is not a folder", hint="name one that exists")
        if self.writes and self.folder.resolve() in (Path("/"), typed_path("~").resolve()):
            raise UsageError(f"a tool that writes does not start in {self.folder}", hint="run skillpm in a project")
        if self.sandbox.level != "bubblewrap":
            self._check_secrets(argv)
        return [self.program(words[0]) for words in argv]

    def _check_secrets(self, argv: Sequence[tuple[str, ...]]) -> None:
        """Refuse what Landlock cannot hide below a writable folder, and what nothing hides at ``limits``."""
        folder, hidden = self.folder.resolve(), self.hidden
        if self.writes and any(path.is_relative_to(folder) for path in hidden):
            raise UsageError(
                f"a tool that writes does not start in {self.folder}, which holds secrets",
                hint="install bubblewrap, or run skillpm in another folder",
            )
        written = [word for words in argv for word in words[1:]]
        for word in (*written, *(value for _, _, value in (text.partition("=") for text in written) if value)):
            with contextlib.suppress(OSError, ValueError):  # not a path
                path = (folder / word).resolve()
                if any(path.is_relative_to(secret) for secret in hidden):
                    raise PolicyError(f"`{word[:200]}` is a secret, which tools do not read", hint="name another file")


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
                _kill(process)
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
        programs = [found for name in place.permissions.run if (found := shutil.which(name, path=_path()))]
        chain = [step for program in programs for step in _interpreters(Path(program))]
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
            "executable": [str(path) for path in (*chain, *loaders(chain))],
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
            while _runs(process):
                now = time.monotonic()
                if now >= deadline:
                    return "timeout"
                if self.bounds.stop():
                    return "stopped"
                if now >= look:
                    look = now + _LOOK
                    started, memory = _descendants(process.pid)
                    if len(started) > self.bounds.processes:
                        return "processes"
                    if memory > self.bounds.memory_bytes:
                        return "memory"
                    unlinked = _unlinked([process.pid, *started], self.scratch, self.bounds.file_bytes)
                    if unlinked is None or _is_full(self.scratch, self.bounds.scratch_bytes - unlinked):
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


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Does it run? It is not reaped, so that its number stays its own until its group has been ended."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started; inside bubblewrap the kernel ends what has left the group."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _descendants(root: int) -> tuple[list[int], int]:
    """Return the processes that a process has started and that still run, and the bytes of memory that they use."""
    parents: dict[int, list[tuple[int, int]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_bytes().rpartition(b") ")[2].split()
            parents.setdefault(int(fields[1]), []).append((int(path.parent.name), int(fields[21])))
    started, pages, waiting = list[int](), 0, [root]
    while waiting:
        for child, resident in parents.pop(waiting.pop(), ()):
            started.append(child)
            pages += resident
            waiting.append(child)
    return started, pages * resource.getpagesize()


def _unlinked(processes: Iterable[int], folder: Path, largest: int) -> int | None:
    """Return the bytes of files that have no name, but are open or mapped: on the disk of a folder, or in memory.

    None if so much is open or mapped that a look at it would take long.
    """
    disk, sizes = folder.stat().st_dev, dict[int, int]()
    mappings_left, files_left = _MAPPINGS_BYTES, _FILES
    for process in processes:
        with contextlib.suppress(OSError), Path(f"/proc/{process}/maps").open("rb") as file:
            mappings = file.read(mappings_left + 1)
            mappings_left -= len(mappings)
            for inode, size in _mapped(mappings, disk):
                sizes[inode] = max(min(size, largest), sizes.get(inode, 0))
        with contextlib.suppress(OSError), os.scandir(f"/proc/{process}/fd") as entries:
            for entry in itertools.islice(entries, files_left + 1):
                files_left -= 1
                with contextlib.suppress(OSError):  # it may be closed
                    status = entry.stat()
                    if _has_no_name(entry.path, status, disk):
                        sizes[status.st_ino] = status.st_blocks * 512
        if mappings_left < 0 or files_left < 0:
            return None
    return sum(sizes.values())


def _mapped(mappings: bytes, disk: int) -> Iterator[tuple[int, int]]:
    """Yield (inode, bytes) of mapped files of a disk that have no name."""
    for line in re.findall(rb"^.* \(deleted\)$", mappings, re.MULTILINE):
        addresses, _, offset, device, inode = line.split()[:5]
        start, end = (int(word, 16) for word in addresses.split(b"-"))
        if os.makedev(*(int(word, 16) for word in device.split(b":"))) == disk:
            yield int(inode), int(offset, 16) + end - start


def _has_no_name(path: str, status: os.stat_result, disk: int) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink:
        return False
    return status.st_dev == disk or str(Path(path).readlink()).startswith("/memfd:")


def _is_full(folder: Path, most: int) -> bool:
    """Do the files below a folder take more than ``most`` bytes, or are they too many, too deep or locked?"""
    waiting, count, size = [str(folder)], 0, 0
    deepest = str(folder).count("/") + _LEVELS
    while waiting:
        path = waiting.pop()
        try:
            entries = _entries(path)
        except PermissionError:  # it was unlocked, and locked again at once
            return True
        for name, status in entries:
            count += 1
            if stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            else:
                size += status.st_blocks * 512
            if count > _FILES or name.count("/") > deepest:
                return True
    return size > most


def _entries(folder: str, *, unlock: bool = True) -> list[tuple[str, os.stat_result]]:
    """Return the paths in a folder with their statuses; a folder that its owner may not read is unlocked."""
    entries = []
    try:
        with os.scandir(folder) as items:
            for item in itertools.islice(items, _FILES + 1):
                with contextlib.suppress(FileNotFoundError):  # it may be gone, and the others are counted still
                    entries.append((item.path, item.stat(follow_symlinks=False)))
    except PermissionError:
        if not unlock:
            raise
        _unlock(folder)
        return _entries(folder, unlock=False)
    except OSError:
        return []
    return entries


def _unlock(folder: str) -> None:
    """Let the owner of a folder read it again; a link that has taken its place is not followed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", 0o700)  # noqa: PTH101
        finally:
            os.close(descriptor)


def _interpreters(program: Path) -> list[Path]:
    """Return a program and, for a script, what its first line starts: ``#!/usr/bin/env python3`` starts two."""
    chain = [program]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        with program.open("rb") as file:
            line = file.readline(256)
        words = line[2:].decode().split() if line.startswith(b"#!") else []
        if words:
            chain.append(Path(words[0]))
            if Path(words[0]).name == "env":
                named = next((word for word in words[1:] if not word.startswith("-")), "")
                chain += [Path(found)] if (found := shutil.which(named, path=_path())) else []
    return chain


def _path() -> str:
    """Return PATH without relative folders: what lies in the working folder is not a program."""
    return os.pathsep.join(
        folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder).is_absolute()
    )


def _environment(scratch: Path) -> dict[str, str]:
    """Return the variables of a tool: no secret of ours, and nothing that opens a pager or an editor."""
    ours = {name: text for name, text in os.environ.items() if name in ("LANG", "TZ") or name.startswith("LC_")}
    quiet = {"TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "SYSTEMD_PAGER": "cat", "SYSTEMD_COLORS": "0"}
    return {**ours, **quiet, "PATH": _path(), "HOME": str(scratch), "TMPDIR": str(scratch)}

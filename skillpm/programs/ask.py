"""Ask a program for its help, confined and bounded: it is only ever called with words that print help."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from skillpm.errors import UsageError
from skillpm.model.ports import Enclosure
from skillpm.sandbox.sandbox import Sandbox, choose, interpreter

_BYTES = 1 << 20  # of one answer; the rest is not read
_SECONDS = 10.0  # of one answer
_START = "import sys; sys.path += sys.argv[2:]; from skillpm.programs.confined import main; main(sys.argv[1])"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/opt", "/etc/alternatives", "/etc/ld.so.cache",
           "/etc/manpath.config", "/etc/man_db.conf", "/etc/groff", "/etc/perl", "/etc/localtime")  # fmt: skip
_MISSING = "install it, or give its path, such as ./bin/my-program"
_MOST = 8  # calls at once
_TREE = ("bin", "sbin", "shims", "Scripts")


Process = subprocess.Popen[bytes]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a program printed.

    Attributes:
        text: of stdout, or of stderr where stdout is empty.
        problem: why there may be no more of it; empty where it ended by itself.
    """

    text: str
    problem: str = ""


@dataclass(slots=True)
class Asker:
    """Calls one program. A call that was made before is not made again: its reply is remembered.

    ``seconds`` are for all calls together.

    Raises:
        UsageError: there is no such program.
    """

    program: str
    seconds: float = 90.0
    path: Path = field(init=False)
    _sandbox: Sandbox = field(init=False)
    _deadline: float = field(init=False)
    _replies: dict[tuple[tuple[str, ...], tuple[Path, ...]], Future[Reply]] = field(init=False, default_factory=dict)
    _running: set[Process] = field(init=False, default_factory=set)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        located = shutil.which(self.program)
        if located is None:
            is_file = os.path.isfile(self.program)  # noqa: PTH113  it may be too long for a Path
            hint = f"run `chmod +x {shlex.quote(self.program)}`, or name what runs it" if is_file else _MISSING
            raise UsageError(f"there is no program `{self.program[:80]}`", hint=hint)
        self.path = Path(located).absolute()
        self._sandbox = choose()
        self._deadline = time.monotonic() + self.seconds

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.path.name

    def python(self) -> str | None:
        """Return the interpreter of a script in Python; None for any other program."""
        with self.path.open("rb") as file:
            first = file.read(256).split(b"\n")[0].decode(errors="replace")
        words = first.removeprefix("#!").split() if first.startswith("#!") else []
        if words and Path(words[0]).name == "env":
            words = [shutil.which(word) or "" for word in words[1:2]]
        return words[0] if words and Path(words[0]).name.startswith(("python", "pypy")) else None

    def ask(self, *words: str) -> Reply:
        """Call the program with words that make it print help."""
        return self.call(str(self.path), *words)

    def call(self, *words: str, show: tuple[Path, ...] = ()) -> Reply:
        """Call a command that prints what the program is; ``show`` is what it may read beside the system."""
        with self._lock:
            is_new = (words, show) not in self._replies
            reply = self._replies.setdefault((words, show), Future())
        if is_new:
            try:
                reply.set_result(self._called(words, show))
            except BaseException as error:
                reply.set_exception(error)
                raise
        return reply.result()

    def start(self, words: Sequence[str], scratch: Path, show: tuple[Path, ...], error: IO[bytes]) -> Process:
        """Start a command that is spoken to over its input and its output, confined as every call is.

        Raises:
            UsageError: it cannot be started.
        """
        try:
            return self._start(words, scratch, show, subprocess.PIPE, subprocess.PIPE, error)
        except OSError as failure:
            raise UsageError(f"`{self.program[:80]}` cannot be started: {failure.strerror}") from failure

    def side_by_side(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return what work on each item makes of calls, some at once. Where one fails, the calls of the others end."""
        with ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1)) as threads:
            try:
                return list(threads.map(work, items))
            except BaseException:
                self._stop()
                raise

    def _stop(self) -> None:
        self._deadline = 0.0
        for process in tuple(self._running):
            kill(process)

    def _seconds_left(self) -> float:
        return min(_SECONDS, self._deadline - time.monotonic())

    def _called(self, words: tuple[str, ...], show: tuple[Path, ...]) -> Reply:
        seconds = self._seconds_left()
        if seconds <= 0:
            return Reply("", f"no time is left of {self.seconds:.0f} seconds")
        with (
            tempfile.TemporaryDirectory(prefix="skillpm-program-") as folder,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as error,
        ):
            scratch = Path(folder).resolve()
            for name in ("refs", "objects"):  # an empty repository: `git remote add -h` asks for one
                (scratch / ".git" / name).mkdir(parents=True)
            (scratch / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
            try:
                process = self._start(words, scratch, show, subprocess.DEVNULL, out, error)
            except OSError as failure:
                return Reply("", f"cannot be started: {failure.strerror}")
            problem = ""
            try:
                self._running.add(process)
                process.wait(max(0.0, self._seconds_left()))  # none, where the others were stopped by now
            except subprocess.TimeoutExpired:
                problem = f"did not end within {seconds:.0f} seconds"
            finally:
                self._running.discard(process)
                kill(process)
                process.wait()
            texts = [_read(file) for file in (out, error)]
            if any(len(text) > _BYTES for text in texts):  # it may have been ended for it: files are limited, too
                problem = f"printed more than {_BYTES >> 20} MiB"
            said = next((text for text in texts if text.strip()), b"")
            return Reply(said[:_BYTES].decode(errors="replace"), problem)

    def _start(self, words: Sequence[str], scratch: Path, show: tuple[Path, ...], *streams: int | IO[bytes]) -> Process:
        stdin, stdout, stderr = streams
        return subprocess.Popen(
            self._command(list(words), scratch, show), stdin=stdin, stdout=stdout, stderr=stderr, cwd=scratch,
            env=self._environment(scratch), start_new_session=True,
        )  # fmt: skip

    def _command(self, words: list[str], scratch: Path, show: tuple[Path, ...]) -> list[str]:
        package = Path(__file__).parents[2]
        trees = [*map(Path, _SYSTEM), *self._trees(), *(Path(word).parents[1] for word in words[:1]), *show]
        read = tuple(dict.fromkeys(tree for tree in trees if tree.exists()))
        order = {"words": words, "read": [str(tree) for tree in read], "scratch": str(scratch)}
        text = json.dumps({**order, "landlock": self._sandbox.landlock})
        # not the link of a virtual environment, which may lie in a tree that is shown
        own = Path(sys.executable).resolve()
        start = (str(own), "-I", "-S", "-B", "-c", _START, text, str(package))
        if self._sandbox.enclose is None:
            return list(start)
        ours = (*interpreter(own), package / "skillpm")
        return list(self._sandbox.enclose(Enclosure(start, (*read, *ours), (), scratch, network=False, descriptors=())))

    def _trees(self) -> list[Path]:
        """Return where the program and its interpreter are installed, never a home folder."""
        trees = []
        for path in (self.path, self.path.resolve(), *map(Path, filter(None, [self.python()]))):
            for place in (path, path.resolve()):
                folder = place.parent
                trees.append(folder.parent if folder.name in _TREE else folder)
        home = Path.home().resolve()
        return [tree for tree in trees if tree not in (home, *home.parents)] or [self.path]

    def _environment(self, scratch: Path) -> dict[str, str]:
        ours = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(scratch), "TMPDIR": str(scratch)}
        plain = {"PAGER": "cat", "GIT_PAGER": "cat", "MANPAGER": "cat", "MANWIDTH": "100",
            "MANOPT": "--no-hyphenation --no-justification", "MAN_DISABLE_SECCOMP": "1",
                 "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}  # fmt: skip
        python = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}  # pip's help has a set: one order of it
        return {**ours, **plain, **python, "PYTHONUSERBASE": str(self.path.parents[1])}


def kill(process: Process) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(file: IO[bytes]) -> bytes:
    """Return what was printed, and one byte more where it was too much."""
    file.seek(0)
    return file.read(_BYTES + 1)

"""Runs the attempts of tests/cases/sandbox.yaml in a sandbox, and writes the table of docs/sandbox.md."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.task import Message, Task
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.programs import loaders
from skillpm.sandbox.sandbox import LEVELS, Sandbox
from skillpm.storage.store import Store
from skillpm.worker.pool import WorkerPool
from skillpm.worker.sealed import SealedCopies
from skillpm.worker.settings import WorkerSettings

USERS = {"root": "as root", "bare": "as root without capabilities", "user": "as another user"}
NEEDS = {"": "", "network": "permissions: {network: true}\n", "run": "permissions: {run: [uname]}\n"}
LIMITS = Limits(batch_seconds=20.0, item_seconds=0.0, restarts=0, processes=200)
MARKS = ("<!-- battery -->\n", "<!-- end of battery -->\n")

# judges an answer by running it: `passed` if it goes through
VERIFIER = """
import ast, ctypes, fcntl, mmap, os, platform, resource, shutil, signal, socket, stat, struct, subprocess, sys
import threading, time
from pathlib import Path
from skillpm.plugin import Verdict

NUMBERS = {NUMBERS}
libc = ctypes.CDLL(None, use_errno=True)
HOME, OWN = os.getcwd(), str(Path(__file__).parent)


def raw(name, *words):
    libc.syscall.restype = ctypes.c_long
    sized = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    result = libc.syscall(ctypes.c_long(NUMBERS[name][platform.machine() == "aarch64"]), *sized)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def good(action):
    try:
        action()
    except OSError:
        return False
    return True


def watcher():
    kinds = {fd: os.fstat(fd).st_mode for fd in range(3, 64) if good(lambda: os.fstat(fd))}
    (fd,) = [fd for fd, kind in kinds.items() if stat.S_ISSOCK(kind)]
    return socket.socket(fileno=os.dup(fd))


def STAY():
    open("running", "w").close()
    while True:
        pass


def run(code, names):
    space = {**globals(), **names}
    *body, last = ast.parse(code).body
    exec(compile(ast.Module(body, []), "attempt", "exec"), space)
    return eval(compile(ast.Expression(last.value), "attempt", "eval"), space)


def verify(attempts, contract):
    (attempt,) = attempts
    try:
        result = run(attempt.completion, attempt.task.expected)
    except BaseException as error:
        return [Verdict(status="failed", score=0.0, reasons=(f"{type(error).__name__}: {error}"[:500],))]
    status, score = ("passed", 1.0) if result else ("failed", 0.0)
    return [Verdict(status=status, score=score, reasons=(repr(result)[:500],))]
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        name: of it.
        row: of the table.
        code: its last line is true if it goes through.
        needs: what the manifest asks for.
        through: for each level at which it is expected to go through, the users for whom.
        control: does it go through without a sandbox on every machine?
        harmful: would it harm the machine without a sandbox?
    """

    name: str
    row: str
    code: str
    needs: str = ""
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    control: bool = True
    harmful: bool = False

    def expected(self, level: str, user: str) -> bool:
        """Does it go through here?"""
        return user in self.through.get(level, ())


@cache
def cases() -> dict[str, Any]:
    """Return the data."""
    path = Path(__file__).parent / "cases" / "sandbox.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@cache
def attempts() -> tuple[Attempt, ...]:
    """Return all attempts."""
    return tuple(
        Attempt(name, **{**entry, "through": _through(entry["through"])}) for name, entry in cases()["attempts"].items()
    )


def _through(value: Sequence[str] | Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if isinstance(value, Mapping):
        return {level: tuple(users) for level, users in value.items()}
    return {level: tuple(USERS) for level in value}


def user() -> str:
    """Return which of the users this process is."""
    from skillpm.sandbox import privileges

    if os.geteuid() != 0:
        return "user"
    return "root" if any(privileges.capabilities()) else "bare"


class Outside:
    """What skill code is after: files, services, shared memory and a process."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "outside"
        self.folder.mkdir()
        self.secret = self.folder / "secret.txt"
        self._services: list[socket.socket] = []
        self.victim = subprocess.Popen(["sleep", "3600"])
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._segment = self._libc.shmget(0, 4096, 0o1600)
        self.restore()

    def restore(self) -> None:
        """Put everything back."""
        for descriptor in self._services:
            descriptor.close()
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
                shutil.rmtree(path)
            else:
                path.unlink()
        self.secret.write_text("secret")
        self.secret.chmod(0o600)
        with contextlib.suppress(OSError):  # not on every file system
            os.setxattr(self.secret, "user.note", b"mine")
        (self.folder / "link").symlink_to("secret.txt")
        (self.folder / "empty").mkdir()
        self._listen()
        if self.victim.poll() is not None:
            self.victim = subprocess.Popen(["sleep", "3600"])

    def _listen(self) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        path = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path.bind(str(self.folder / "service"))
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        abstract.bind(f"\0skillpm-battery-{os.getpid()}")
        self._services = [server, path, abstract]

    def names(self) -> dict[str, Any]:
        """Return what the code of attempts refers to."""
        uname = os.path.realpath(shutil.which("uname") or "/bin/uname")
        helpers = sorted(path for path in Path("/usr/lib/git-core").glob("git*") if path.is_file()) or [
            Path("/bin/true")
        ]
        return {
            "SECRET": str(self.secret), "OUTSIDE": str(self.folder), "PARENT": os.getpid(), "VICTIM": self.victim.pid,
            "PORT": self._services[0].getsockname()[1], "PATH": str(self.folder / "service"),
            "ABSTRACT": f"\0skillpm-battery-{os.getpid()}", "SEGMENT": self._segment, "UNAME": uname,
            "LOADER": str((loaders([Path(uname)]) or [Path("/none")])[0]), "HELPER": str(helpers[0]),
        }  # fmt: skip

    def state(self) -> list[object]:
        """Return what must not change: the folder, file by file, and the process."""
        return [*contents(self.folder), self.victim.poll()]

    def close(self) -> None:
        """End it."""
        for descriptor in self._services:
            descriptor.close()
        self._libc.shmctl(self._segment, 0, None)
        self.victim.kill()
        self.victim.wait()


def contents(folder: Path) -> list[object]:
    """Return all that is written about a folder and what is in it."""
    files: list[object] = []
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        names = os.listxattr(path, follow_symlinks=False)
        attributes = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]
        files.append((path, status.st_mode, status.st_uid, status.st_mtime_ns, content, attributes))
    return files


class Battery:
    """The attempts in one sandbox.

    Args:
        sandbox: the level.
        root: an empty folder.
    """

    def __init__(self, sandbox: Sandbox, root: Path) -> None:
        self._root = root
        self._sandbox = sandbox
        self.outside = Outside(root)
        self.skills = {needs: self._skill(needs) for needs in NEEDS}
        settings = WorkerSettings(sandbox)
        self._pools = {needs: WorkerPool(skill, LIMITS, settings) for needs, skill in self.skills.items()}

    def _skill(self, needs: str) -> Skill:
        root = self._root / f"skill-{needs or 'plain'}"
        root.mkdir()
        (root / "SKILL.md").write_text(f"---\nname: {root.name}\ndescription: Try.\n---\nTry.\n")
        (root / "skill.yaml").write_text(f"manifest: 1\nversion: 1.0.0\n{NEEDS[needs]}")
        (root / "verifier.py").write_text(VERIFIER.replace("{NUMBERS}", repr(cases()["numbers"])))
        copies = SealedCopies(Store(self._root / "store"), Store(self._root / "sealed"))
        return copies.seal(Skill(root.name, "1.0.0", tree_digest(FolderTree(root)), root))

    def run(self, attempt: Attempt) -> tuple[bool, str]:
        """Return whether an attempt goes through, and what came of it."""
        if attempt.row == "leave":
            left = [
                number for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL) if self._outlives(attempt, number)
            ]
            return bool(left), str(left)
        skill = self.skills[attempt.needs]
        before, own = self.outside.state(), contents(skill.root)
        (judgement,) = self._pools[attempt.needs].judge([self._episode(attempt)])
        time.sleep(0.02 if attempt.row == "reach" else 0)
        changed_outside, changed_own = self.outside.state() != before, contents(skill.root) != own
        changed = changed_outside or changed_own
        if changed_own or attempt.row in ("bounds", "crowd"):
            self._pools[attempt.needs].close()
        if changed_outside:
            self.outside.restore()
        if changed_own:
            self._reseal(attempt.needs)
        word = judgement.verdict.reasons[0] if judgement.verdict.reasons else ""
        return judgement.verdict.status == "passed" or changed, f"{word}{' and something changed' * changed}"

    def _reseal(self, needs: str) -> None:
        shutil.rmtree(self._root / f"skill-{needs or 'plain'}")
        shutil.rmtree(self.skills[needs].root)
        self.skills[needs] = self._skill(needs)
        self._pools[needs] = WorkerPool(self.skills[needs], LIMITS, WorkerSettings(self._sandbox))

    def _episode(self, attempt: Attempt) -> Episode:
        skill, expected = self.skills[attempt.needs].name, self.outside.names()
        task = Task.of(skill=skill, system="", request=attempt.name, expected=expected, split="train", origin="rule")
        return Episode(task=task, messages=(Message(role="assistant", content=attempt.code),))

    def _outlives(self, attempt: Attempt, number: int) -> bool:
        """Does a process of a worker outlive a host that ends by this signal?"""
        temporary = Path(tempfile.mkdtemp(dir=self._root))
        child = os.fork()
        if child == 0:
            try:
                for ending in (signal.SIGTERM, signal.SIGHUP):
                    signal.signal(ending, signal.SIG_DFL)
                tempfile.tempdir = str(temporary)
                pool = WorkerPool(self.skills[attempt.needs], Limits(), WorkerSettings(self._sandbox))
                pool.judge([self._episode(attempt)])
            finally:
                os._exit(1)
        try:
            deadline = time.monotonic() + 20
            while not list(temporary.glob("*/running")) and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            os.kill(child, number)
            os.waitpid(child, 0)
        deadline = time.monotonic() + 30
        while (left := at_home(temporary)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in left:
            os.kill(process, signal.SIGKILL)
        return bool(left)

    def close(self) -> None:
        """End it."""
        for pool in self._pools.values():
            pool.close()
        self.outside.close()


@contextlib.contextmanager
def battery(sandbox: Sandbox) -> Iterator[Battery]:
    """Give a battery in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="battery-") as folder:
        found = Battery(sandbox, Path(folder))
        try:
            with contextlib.ExitStack() as stack:
                previous = os.environ.get("BATTERY_TOKEN")
                os.environ["BATTERY_TOKEN"] = "secret"
                stack.callback(lambda: os.environ.pop("BATTERY_TOKEN") if previous is None else None)
                yield found
        finally:
            found.close()


def at_home(folder: Path) -> list[int]:
    """Return the processes whose home lies in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found += [int(path.parent.name)] if f"HOME={folder}/".encode() in path.read_bytes() else []
    return found


def table() -> str:
    """Return the table as the data say."""
    lines = [f"| may skill code … | {' | '.join(f'`{level}`' for level in LEVELS)} |", "|---" * (len(LEVELS) + 1) + "|"]
    for row, title in cases()["rows"].items():
        own = [attempt for attempt in attempts() if attempt.row == row]
        lines.append(f"| {title} | {' | '.join(_cell(own, level) for level in LEVELS)} |")
    return "\n".join(lines) + "\n"


def _cell(own: Sequence[Attempt], level: str) -> str:
    through = [attempt for attempt in own if level in attempt.through]
    everywhere = [attempt for attempt in through if len(attempt.through[level]) == len(USERS)]
    if len(everywhere) == len(own):
        return "yes"
    if len(everywhere) * 2 > len(own):
        return "**yes**"
    parts = [
        attempt.name if attempt in everywhere else f"{attempt.name} {_whom(attempt.through[level])}"
        for attempt in through
    ]
    return f"no, but: {'; '.join(parts)}" if parts else "no"


def _whom(users: Sequence[str]) -> str:
    return "as root" if set(users) == {"root", "bare"} else " or ".join(USERS[name] for name in users)

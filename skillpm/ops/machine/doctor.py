"""``skillpm doctor``: check this machine, without heavy imports and without the network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillpm.clients.folders import detected
from skillpm.errors import SkillpmError
from skillpm.model.name import did_you_mean
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_sandbox
from skillpm.sandbox.sandbox import PLUGIN, Sandbox, probed
from skillpm.settings.distribution import TRAINING, as_installed
from skillpm.settings.folders import HOME
from skillpm.settings.table import TABLE
from skillpm.worker.pip import pip_path

_FAMILIES = ("SKILLPM_TOKEN_", "SKILLPM_REGISTRY_")  # by which names of variables begin that are no settings
Level = Literal["ok", "warning", "error"]

GIB = 1 << 30
LEAST_MEMORY = 8 * GIB  # a 135M model and its gradients
LEAST_DISK = 2 * GIB
_STRONGER = "install bubblewrap, or use Linux 5.13 or newer with Landlock; docs/sandbox.md says what each does"


@dataclass(frozen=True, slots=True)
class Check:
    """One checked property of the machine.

    Attributes:
        level: ok; warning if an optional part is missing; error if little works without it.
        hint: the next step if the level is not ok.
    """

    name: str
    level: Level
    found: str
    hint: str | None = None
    note: str | None = None


def examine(context: Context) -> list[Check]:
    """Return all checks; never raises."""
    parts: tuple[Callable[[Context], Iterator[Check]], ...] = (
        _machine, _name, _git, _disk, _sandbox, _sandboxes_of_plugins, _environments, _training, _accelerator, _models,
        _agents, _store, _pip, _variables,
    )  # fmt: skip
    return [check for part in parts for check in part(context)]


def _graded(
    good: bool, name: str, found: str, hint: str, *, level: Level = "warning", note: str | None = None
) -> Check:
    """Return a check that is ok, or else has this level and this hint."""
    return Check(name, "ok" if good else level, found, None if good else hint, note)


def _machine(context: Context) -> Iterator[Check]:
    new, version = sys.version_info >= (3, 11), f"{platform.python_version()} ({sys.executable})"
    yield _graded(new, "python", version, "install Python 3.11 or newer", level="error")
    is_tested = sys.platform in ("linux", "darwin")
    yield _graded(is_tested, "platform", platform.platform(), "skillpm is tested on Linux and macOS only")
    yield Check("cores", "ok", str(_cores()))
    memory = _memory()
    size = "unknown" if memory is None else f"{memory / GIB:.1f} GiB"
    is_enough = memory is None or memory >= LEAST_MEMORY
    yield _graded(is_enough, "memory", size, "training the default model takes about 8 GiB")


def _name(context: Context) -> Iterator[Check]:
    """Look for other programs and distributions of our name: both exist."""
    programs = [Path(folder, "skillpm") for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    programs = [path for path in programs if path.is_file() and os.access(path, os.X_OK)]
    if programs and not _is_ours(programs[0]):
        own = next((path for path in programs if _is_ours(path)), None)
        hint = f"put {own.parent} first in PATH" if own else "run `python -m skillpm` in place of `skillpm`"
        yield Check("command", "warning", f"{programs[0]} is another program called skillpm", hint)
    else:
        note = None if programs else "skillpm is not on PATH: run `python -m skillpm`"
        yield Check("command", "ok", str(programs[0]) if programs else f"{sys.executable} -m skillpm", note=note)
    try:
        other = importlib.metadata.version("skillpm")
    except importlib.metadata.PackageNotFoundError:
        return
    hint = as_installed("run `pip uninstall skillpm`, then `pip install --force-reinstall skillpm-core`")
    yield Check("distribution", "warning", f"skillpm {other}, another project, is installed over skillpm-core", hint)


def _is_ours(program: Path) -> bool:
    """Is this the script of our own command? Scripts of other projects call other functions."""
    try:
        with program.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return b"from skillpm.__main__ import main" in start or b"from skillpm.cli.main import run" in start


def _git(context: Context) -> Iterator[Check]:
    program = shutil.which("git")
    if program is None:
        yield Check("git", "warning", "not found", "install git: skills of repositories need it")
        return
    try:
        process = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
        version = process.stdout.removeprefix("git version ").strip() if process.returncode == 0 else ""
    except (OSError, subprocess.SubprocessError):
        version = ""
    shown = f"{version or 'does not start'} ({program})"
    yield _graded(bool(version), "git", shown, "install git again: it does not start")


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def _memory() -> int | None:
    """Return the bytes of memory of this machine or of this control group, whichever is less."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _disk(context: Context) -> Iterator[Check]:
    for name, folder in (("disk of the store", context.settings.data), ("disk of the cache", context.settings.cache)):
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        writable = os.access(existing, os.W_OK)
        space = f"{free / GIB:.1f} GiB free in {folder}{'' if writable else ', not writable'}"
        if not writable:
            yield Check(name, "error", space, "set SKILLPM_HOME to a folder that you may write")
        else:
            yield _graded(free >= LEAST_DISK, name, space, "free some space")


def _sandbox(context: Context) -> Iterator[Check]:
    try:
        sandbox = open_sandbox(context)
    except SkillpmError as error:
        yield Check("sandbox of skill code", "error", error.message, error.hint)
        return
    yield _graded(sandbox.strong, "sandbox of skill code", str(sandbox), _STRONGER, note=_gaps(sandbox))


def _gaps(sandbox: Sandbox) -> str:
    return f"it does not stop: {'; '.join(sandbox.gaps)}"


def _sandboxes_of_plugins(context: Context) -> Iterator[Check]:
    try:
        levels = context.host.sandboxes()
    except SkillpmError as error:
        yield Check("sandboxes of plugins", "warning", error.message, error.hint)
        return
    for level in levels:
        name = f"sandbox {PLUGIN}{level.name}"
        try:
            sandbox = probed(level)
        except SkillpmError as error:
            yield Check(name, "warning", error.message, error.hint)
            continue
        if sandbox is None:
            yield Check(name, "warning", "does not work on this machine", "see the documentation of its distribution")
            continue
        kind = "strong" if sandbox.strong else "not strong; used only if you name it"
        yield Check(name, "ok", f"{sandbox}; {kind}", note=_gaps(sandbox))


def _environments(context: Context) -> Iterator[Check]:
    path = pip_path()
    shown = "no pip" if path is None else f"built by pip from {path}"
    yield _graded(path is not None, "environments of skills", shown, "python -m ensurepip")


def _training(context: Context) -> Iterator[Check]:
    for name in TRAINING:
        try:
            yield Check(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "warning", "not installed", as_installed("pip install 'skillpm-core[train]'"))


def _accelerator(context: Context) -> Iterator[Check]:
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    driver = shutil.which("nvidia-smi")
    if devices or driver:
        yield Check("accelerator", "ok", ", ".join(devices) or f"{driver} is there, no device file")
    elif sys.platform == "darwin" and platform.machine() == "arm64":
        yield Check("accelerator", "ok", "Apple GPU")
    else:
        yield Check("accelerator", "ok", "none; training runs on the processor")


def _models(context: Context) -> Iterator[Check]:
    folder = context.settings.models
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    hint = "run `skillpm model prepare` to fetch the default model"
    yield _graded(bool(names), "base models", ", ".join(names) or "none prepared", hint)


def _agents(context: Context) -> Iterator[Check]:
    titles = [agent.title for agent in detected(context.settings.root)]
    yield Check("agents", "ok", ", ".join(titles) or "none detected; `skillpm agents --all` lists every known agent")


def _store(context: Context) -> Iterator[Check]:
    try:
        skills = context.installed()
    except SkillpmError as error:
        yield Check("installed skills", "error", error.message, error.hint)
        return
    yield Check("installed skills", "ok", ", ".join(map(str, skills)) or "none in this project")


def _pip(context: Context) -> Iterator[Check]:
    has_pip = importlib.util.find_spec("pip") is not None
    version = importlib.metadata.version("pip") if has_pip else "not installed"
    yield _graded(has_pip, "pip", version, "python -m ensurepip; pip fetches the default model")


def _variables(context: Context) -> Iterator[Check]:
    """Yield a warning for each variable that is nearly one of ours: a misspelt one would have no effect unseen."""
    known = {HOME, *(name for row in TABLE for name in row.variables)}
    for name in sorted(context.settings.environment):
        hint = did_you_mean(name, known) if name.startswith("SKILLPM_") and name not in known else ""
        if hint and not name.startswith(_FAMILIES):
            yield Check("environment", "warning", f"{name} is not a variable of skillpm, so it has no effect", hint)

"""What this machine can do, found out without importing anything heavy and without asking the network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import SkillpmError
from skillpm.ops.context import Context
from skillpm.ops.extensions import foreign_sandboxes
from skillpm.ops.sandbox import open_sandbox
from skillpm.runtime.environments import builder
from skillpm.runtime.sandbox import PLUGIN, probed
from skillpm.storage.agents import detected

__all__ = ["Check", "examine"]

TRAINING = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
GIB = 1 << 30
LEAST_MEMORY = 8 * GIB  # a 135M model and its gradients
LEAST_DISK = 2 * GIB


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``hint`` says what to do where it is not ok."""

    name: str
    ok: bool
    found: str
    hint: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints this check."""
        return {"name": self.name, "status": "ok" if self.ok else "warn", "found": self.found, "hint": self.hint}


def examine(context: Context) -> list[Check]:
    """Look at everything; never raises, a check that fails is a warning."""
    parts: tuple[Callable[[Context], Iterator[Check]], ...] = (
        _machine, _disk, _sandbox, _foreign_sandboxes, _environments, _training, _accelerator, _models, _agents,
        _store, _pip,
    )  # fmt: skip
    return [check for part in parts for check in part(context)]


def _machine(context: Context) -> Iterator[Check]:
    new = sys.version_info >= (3, 11)
    hint = None if new else "install Python 3.11 or newer"
    yield Check("python", new, f"{platform.python_version()} ({sys.executable})", hint)
    yield Check("platform", sys.platform in ("linux", "darwin"), platform.platform())
    yield Check("cores", True, str(_cores()))
    memory = _memory()
    found = "unknown" if memory is None else f"{memory / GIB:.1f} GiB"
    enough = memory is None or memory >= LEAST_MEMORY
    yield Check("memory", enough, found, None if enough else "training the default model takes some 8 GiB")


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
        found = f"{free / GIB:.1f} GiB free in {folder}{'' if writable else ', not writable'}"
        hint = "free some space" if writable else "set SKILLPM_HOME to a folder that you may write"
        ok = free >= LEAST_DISK and writable
        yield Check(name, ok, found, None if ok else hint)


def _sandbox(context: Context) -> Iterator[Check]:
    try:
        sandbox = open_sandbox(context.settings)
    except SkillpmError as error:
        yield Check("sandbox of skill code", False, error.message, error.hint)
        return
    hint = f"it does not stop: {'; '.join(sandbox.gaps)}"
    yield Check("sandbox of skill code", sandbox.strong, str(sandbox), hint)


def _foreign_sandboxes(context: Context) -> Iterator[Check]:
    try:
        levels = foreign_sandboxes(context.settings)
    except SkillpmError as error:
        yield Check("sandboxes of plugins", False, error.message, error.hint)
        return
    for level in levels:
        name = f"sandbox {PLUGIN}{level.name}"
        try:
            sandbox = probed(level)
        except SkillpmError as error:
            yield Check(name, False, error.message, error.hint)
            continue
        if sandbox is None:
            yield Check(name, False, "does not work on this machine", "its distribution says what it needs")
            continue
        kind = "strong" if sandbox.strong else "not strong; taken only when it is named"
        yield Check(name, True, f"{sandbox}; {kind}", f"it does not stop: {'; '.join(sandbox.gaps)}")


def _environments(context: Context) -> Iterator[Check]:
    found = builder()
    hint = None if found else "python -m ensurepip, or install uv"
    yield Check("environments of skills", bool(found), f"built by {found}" if found else "neither uv nor pip", hint)


def _training(context: Context) -> Iterator[Check]:
    for name in TRAINING:
        try:
            yield Check(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, False, "not installed", "python -m pip install 'skillpm-core[train]'")


def _accelerator(context: Context) -> Iterator[Check]:
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    driver = shutil.which("nvidia-smi")
    if devices or driver:
        yield Check("accelerator", True, ", ".join(devices) or f"{driver} is there, no device file")
    elif sys.platform == "darwin" and platform.machine() == "arm64":
        yield Check("accelerator", True, "Apple GPU")
    else:
        yield Check("accelerator", True, "none; training runs on the processor")


def _models(context: Context) -> Iterator[Check]:
    folder = context.settings.models
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    hint = None if names else "`skillpm model prepare` fetches the default one"
    yield Check("base models", bool(names), ", ".join(names) or "none prepared", hint)


def _agents(context: Context) -> Iterator[Check]:
    found = [agent.title for agent in detected(context.settings.project)]
    yield Check("agents", True, ", ".join(found) or "none found; `skillpm agents --all` lists those that are known")


def _store(context: Context) -> Iterator[Check]:
    try:
        skills = context.installed()
    except SkillpmError as error:
        yield Check("installed skills", False, error.message, error.hint)
        return
    yield Check("installed skills", True, ", ".join(map(str, skills)) or "none in this project")


def _pip(context: Context) -> Iterator[Check]:
    there = importlib.util.find_spec("pip") is not None
    hint = None if there else "python -m ensurepip; pip fetches the default model"
    yield Check("pip", there, importlib.metadata.version("pip") if there else "not installed", hint)

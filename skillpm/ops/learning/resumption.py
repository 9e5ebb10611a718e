"""What a run began with, against what is here now: a run goes on only where both are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.model.run import RunStart
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.settings import Settings
from skillpm.storage.files import file_sha256, read_text
from skillpm.train.launch import Launch, read_launch
from skillpm.train.run_folder import RunFolder

LOCK = "skillpm.lock"
SETTINGS = ("dtype", "device", "threads")
PROCESSES = "processes"
CONFIG, DEEPSPEED = "accelerate.yaml", "deepspeed.json"  # files of a run that several processes train


def check_files(settings: Settings, folder: RunFolder, start: RunStart) -> None:
    """Compare the files of a run and the project's lock with what the run began with.

    Raises:
        UsageError: one of them has changed.
    """
    now = folder.digests(start.files)
    for name, before in start.files.items():
        _same(f"{folder.path / name}", before, now.get(name), "train again")
    lock = settings.lock_path
    digest = file_sha256(lock) if lock.is_file() else None
    _same(str(lock), start.lock, digest, f"put back {folder.path / LOCK}, or train again")


def keep_launch(folder: RunFolder, launch: Launch | None) -> None:
    """Write the files that say how processes train into a run: one outside it may be another when the run goes on.

    Raises:
        StorageError: one cannot be read or written.
    """
    named = {} if launch is None else {CONFIG: launch.config, DEEPSPEED: launch.deepspeed}
    for name, path in named.items():
        if path is not None:
            folder.write(name, read_text(path))


def stored_launch(folder: RunFolder, start: RunStart, processes: int | None, config: Path | None) -> Launch | None:
    """Return how processes go on with a run: as it began, but for their number or another file of accelerate.

    Raises:
        UsageError, StorageError, DocumentError: as ``read_launch``.
    """
    processes = processes or int(start.settings.get(PROCESSES, 1))
    if config is not None:
        return read_launch(processes, config)
    own, deepspeed = (folder.path / name if name in start.files else None for name in (CONFIG, DEEPSPEED))
    return read_launch(processes, own, deepspeed)


def check_machine(context: Context, start: RunStart, skills: Sequence[Skill], machine: Mapping[str, Any]) -> None:
    """Compare the skills and the model with what the run began with; note what else decides its bytes.

    Raises:
        UsageError: a skill or the model has changed.
    """
    trees = {skill.name: skill.tree for skill in skills}
    for skill in start.skills:
        _same(f"the skill {skill.name}", skill.tree, trees.get(skill.name), "put its content back, or train again")
    _same("the model", start.model_digest, model_identity(machine), "put it back, or train again")
    _same("the adapter", start.adapter_digest, machine.get("adapter_digest"), "put it back, or train again")
    for name, digest in start.teachers.items():
        _same(f"the teacher {name}", digest, machine["teachers"].get(name), "put it back, or train again")
    for name in (*SETTINGS, PROCESSES):
        before, now = start.settings.get(name, 1), machine.get(name, 1)
        if before != now:
            context.note(f"the run began with {name} {before} and would continue with {now}")


def model_identity(machine: Mapping[str, Any]) -> str | None:
    """Return what names the bytes of a base model: the digest of a folder, or the revision of a hub id."""
    identity: str | None = machine.get("model_digest") or machine.get("revision")
    return identity


def _same(what: str, before: str | None, now: str | None, hint: str) -> None:
    if before != now:
        raise UsageError(
            f"{what} has changed: its digest is {now or 'none'}, the run began with {before or 'none'}", hint=hint
        )

"""Blind suites: their tasks are asked once, of one candidate, so that no choice was made by what they show.

skillpm.blind.json in the project says which tasks were spent on which weights, before the first of them is asked. A
team keeps it in git. A second record, of all projects of the user, holds where the first was removed or the project
copied. The same weights may be asked again, as after Ctrl-C; others need new tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from skillpm.errors import PolicyError, UsageError
from skillpm.evals.asking import ArmLabel
from skillpm.evals.tasks import EvalTask
from skillpm.formats.document import Document, Format, read_model
from skillpm.model.ports import Policy
from skillpm.storage.files import read_text, write_atomic
from skillpm.storage.process_lock import locked

_FROZEN = ("model_digest", "adapter_digest", "answers")  # of a policy's settings: digests of what answers
_WAIT = 10.0  # seconds for another skillpm that writes the record


class Spent(Document):
    """Tasks that were asked of one candidate.

    Attributes:
        candidate: the digests of its weights.
        arm: what the evaluation calls it.
        when: the first task was asked, in UTC.
        tasks: their keys.
    """

    candidate: dict[str, str]
    model: str
    arm: str
    when: str
    tasks: tuple[str, ...]


class _Record(Document):
    blind: Format = 1
    spent: tuple[Spent, ...] = ()


def spend(records: tuple[Path, Path], policy: Policy, label: ArmLabel, tasks: Iterable[EvalTask]) -> None:
    """Record that blind tasks are asked of a policy, before they are: in the project, and for all projects of the user.

    Raises:
        UsageError: the policy names no weights that cannot change, as a server does not.
        PolicyError: some of the tasks were spent on another candidate.
        DocumentError: the record is damaged.
        BusyError: another skillpm holds it.
    """
    candidate = _candidate(policy)
    if not candidate:
        raise UsageError(
            f"{label.model} can change unnoticed, so blind tasks cannot be spent on it",
            hint="name a model's folder, a run or an adapter, or recorded answers",
        )
    keys = {task.task.key: f"{task.task.skill}, suite {task.suite}" for task in tasks}
    project, user = records
    with locked(project.with_name(".skillpm") / "blind.lock", _WAIT), locked(user.with_suffix(".lock"), _WAIT):
        spent = {path: read_spent(path) for path in records}
        for entry in chain(*spent.values()):
            again = [keys[key] for key in entry.tasks if key in keys]
            if again and entry.candidate != candidate:
                place = "" if entry in spent[project] else " in another project"
                seen = f"{len(again)} blind tasks were spent on {entry.arm} of {entry.model} at {entry.when}{place}"
                raise PolicyError(f"{again[0]}: {seen}", hint="write other tasks: what was seen once decides nothing")
        when = datetime.now(UTC).isoformat(timespec="seconds")
        for path, entries in spent.items():
            known = {key for entry in entries for key in entry.tasks}
            if new := tuple(sorted(keys.keys() - known)):
                added = Spent(candidate=candidate, model=label.model, arm=label.name, when=when, tasks=new)
                write_atomic(path, _Record(spent=(*entries, added)).model_dump_json(indent=1) + "\n")


def read_spent(path: Path) -> tuple[Spent, ...]:
    """Return what was spent in a project. Raises DocumentError, StorageError."""
    return read_model(_Record, read_text(path), path=str(path)).spent if path.exists() else ()


def _candidate(policy: Policy) -> dict[str, str]:
    settings: dict[str, Any] = getattr(policy, "settings", {})
    return {name: str(settings[name]) for name in _FROZEN if settings.get(name)}

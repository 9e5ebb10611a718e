"""``skillpm list``: the installed skills of a project, and its training runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from skillpm.errors import LayoutError, StorageError, UsageError
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree
from skillpm.ops.context import Context
from skillpm.storage.links import Occupant, Places
from skillpm.storage.record import Record, read_record

RUNS = "runs"
State = Literal["ok", "missing", "changed"]


@dataclass(frozen=True, slots=True)
class ListedSkill:
    """One installed skill.

    Attributes:
        state: ok; missing from the store or from an agent's folder; changed in one of them.
        folders: its folders in the project.
    """

    name: str
    version: str
    source: str
    description: str
    state: State
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run folder. A run without manifest.json was killed or is still running.

    Attributes:
        exact: the share of exact answers after the last stage, of each task set as ``SKILL TASK SET``: of the newest
            evaluation of all tasks, else of the newest. Empty if the run was not evaluated.
    """

    name: str
    state: Literal["finished", "unfinished"]
    exact: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The skills and the runs of a project."""

    skills: tuple[ListedSkill, ...]
    runs: tuple[ListedRun, ...]


def list_project(context: Context) -> Inventory:
    """Return the installed skills and the runs; nothing is repaired.

    Raises:
        LockOutOfDateError: the lock has conflict markers, or is newer than this skillpm.
        DocumentError: the lock or the record is damaged.
        StorageError: one of them cannot be read.
    """
    record = read_record(context.settings.project)
    places = Places(context.settings.project, context.store)
    skills = tuple(
        ListedSkill(
            entry.name,
            entry.version,
            str(entry.source),
            _description(context.store.path(entry.tree)),
            _state(context, places, record, entry.name, entry.tree),
            tuple(placement.folder for placement in record.of(entry.name)),
        )
        for entry in context.lock().skills
    )
    return Inventory(skills, tuple(_runs(context.settings.project / RUNS)))


def _description(folder: Path) -> str:
    try:
        return describe(FolderTree(folder)).description
    except (LayoutError, UsageError, StorageError):
        return ""


def _state(context: Context, places: Places, record: Record, name: str, tree: str) -> State:
    occupants = {places.occupant(placement, placement) for placement in record.of(name)}
    if not context.store.has(tree) or Occupant.NOTHING in occupants:
        return "missing"
    return "ok" if occupants <= {Occupant.WANTED} and context.store.verify(tree) else "changed"


def _runs(folder: Path) -> Iterable[ListedRun]:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                finished = (path / "manifest.json").is_file()
                yield ListedRun(path.name, "finished" if finished else "unfinished", _exact(path) if finished else {})


def _exact(run: Path) -> dict[str, float | None]:
    """Read the figures that a manifest shows. Reading the document as a model would take longer than the command."""
    try:
        manifest = json.loads((run / "manifest.json").read_bytes())
        evaluations = manifest.get("evaluations", [])
        shown = [item for item in evaluations if item["whole"]] or evaluations
        last = manifest["stages"][-1]["name"]
        rows = [row for row in shown[-1]["figures"] if row["arm"] == last] if shown else []
        return {f"{row['skill']} {row['task_set']}": row.get("exact") for row in rows}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}

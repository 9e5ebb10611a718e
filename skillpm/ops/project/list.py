"""``skillpm list``: the installed skills of a project, and its training runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from skillpm.errors import LayoutError, StorageError, UsageError
from skillpm.layout.description import UNVERSIONED, describe
from skillpm.layout.tree import FolderTree
from skillpm.ops.context import Context
from skillpm.ops.project.difference import SkillState, standing
from skillpm.storage.links import Occupant

RUNS = "runs"
State = Literal["ok", "missing", "changed", "stale", "surplus"]


@dataclass(frozen=True, slots=True)
class ListedSkill:
    """One skill of the lock or of an agent's folder.

    Attributes:
        version: as locked; of a surplus skill, as it stands.
        state: ok; missing from the store or from an agent's folder; changed in one of them; stale, if a folder has
            another release than the lock; surplus, if a folder has it and the lock does not.
        folders: its folders in the project.
        installed: the version that stands in its folders, or None.
    """

    name: str
    version: str
    source: str
    description: str
    state: State
    folders: tuple[str, ...]
    installed: str | None = None


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
    states = standing(context)
    skills = tuple(_listed(context, state) for state in states.values())
    return Inventory(skills, tuple(_runs(context.settings.runs)))


def _listed(context: Context, state: SkillState) -> ListedSkill:
    folders = tuple(place.placement.folder for place in state.places if place.recorded or state.entry is not None)
    if state.entry is None:
        path = context.settings.root / folders[0]
        return ListedSkill(
            state.name, state.installed or UNVERSIONED, "", _description(path), "surplus", folders, state.installed
        )
    entry = state.entry
    description = _description(context.store.path(entry.tree))
    shown = _state(context, state, entry.tree)
    return ListedSkill(entry.name, entry.version, str(entry.source), description, shown, folders, state.installed)


def _description(folder: Path) -> str:
    try:
        return describe(FolderTree(folder)).description
    except (LayoutError, UsageError, StorageError):
        return ""


def _state(context: Context, state: SkillState, tree: str) -> State:
    occupants = state.occupants
    if Occupant.FOREIGN in occupants:
        return "changed"
    if state.is_stale:
        return "stale"
    if Occupant.NOTHING in occupants or not context.store.has(tree):
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

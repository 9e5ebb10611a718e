"""``skillpm list``: the installed skills of a project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillpm.errors import LayoutError, StorageError, UsageError
from skillpm.layout.description import describe
from skillpm.layout.filenames import CALIBRATION
from skillpm.layout.tree import FolderTree
from skillpm.model.name import UNVERSIONED
from skillpm.ops.context import Context
from skillpm.ops.project.adapters import lag_of
from skillpm.ops.project.difference import SkillState, standing
from skillpm.ops.project.known_pages import known_recalls
from skillpm.storage.links import Occupant

State = Literal["ok", "missing", "unstored", "changed", "stale", "surplus", "behind"]


@dataclass(frozen=True, slots=True)
class ListedSkill:
    """One skill of the lock or of an agent's folder.

    Attributes:
        version: as locked; of a surplus skill, as it stands.
        state: ok; missing from an agent's folder, or an adapter from the store; unstored, if its folders have it and
            the store does not, as in a clone of a project that commits them; changed in one of them; stale, if a folder
            has another release than the lock; surplus, if a folder has it and the lock does not; behind, if an adapter
            was trained on other releases than those that are locked.
        installed: the version that stands in its folders, or None.
        reason: why an adapter is behind.
        calibrated: an adapter brings thresholds of confidence.
    """

    name: str
    version: str
    source: str
    description: str
    state: State
    folders: tuple[str, ...]
    installed: str | None = None
    reason: str = ""
    calibrated: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """The skills of a project, and what this machine knows of their recalls."""

    skills: tuple[ListedSkill, ...]
    warnings: tuple[str, ...] = ()


def list_project(context: Context) -> Inventory:
    """Return the installed skills; nothing is repaired, and no server is asked.

    Raises:
        LockOutOfDateError: the lock has conflict markers, or is newer than this skillpm.
        DocumentError: the lock or the record is damaged.
        StorageError: one of them cannot be read.
    """
    states = standing(context)
    return Inventory(tuple(_listed(context, state) for state in states.values()), known_recalls(context))


def _listed(context: Context, state: SkillState) -> ListedSkill:
    folders = tuple(place.placement.folder for place in state.places if place.recorded or state.entry is not None)
    if state.entry is None:
        # the lock may give its folder to another skill: `ana/tool` and `ben/tool` both stand in `tool`
        description = _description(context.settings.root / folders[0]) if folders else ""
        return ListedSkill(
            state.name, state.installed or UNVERSIONED, "", description, "surplus", folders, state.installed
        )
    entry = state.entry
    stored = context.store.path(entry.tree)
    shown, behind, calibrated = _state(context, state, entry.tree), "", False
    if entry.adapter:
        behind = lag_of(context, entry, context.lock())
        calibrated = (stored / CALIBRATION).is_file()
    shown = "behind" if behind and shown == "ok" else shown
    description = _description(context.settings.root / folders[0] if shown == "unstored" else stored)
    source = str(entry.source)
    return ListedSkill(
        entry.name, entry.version, source, description, shown, folders, state.installed, behind, calibrated
    )


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
    if Occupant.NOTHING in occupants:
        return "missing"
    if not context.store.has(tree):
        return "unstored" if occupants else "missing"
    return "ok" if occupants <= {Occupant.WANTED} and context.store.verify(tree) else "changed"

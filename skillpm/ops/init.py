"""``skillpm init``: write a project file, with what the lock says was asked for so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from skillpm.errors import UsageError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.project import BUNDLED_REGISTRY
from skillpm.model.project_text import Value, new_project_text
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context
from skillpm.ops.holding import project_held
from skillpm.ops.wanted import wanted
from skillpm.settings import free_name, registry_name
from skillpm.storage.files import write_atomic

__all__ = ["NewProject", "init"]

SAID = ("flag", "environment")  # where a value came from that no file holds


@dataclass(frozen=True, slots=True)
class NewProject:
    """The file that was written, and the names that it requires."""

    path: Path
    requires: tuple[str, ...]
    text: str
    dry_run: bool = False

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {"path": str(self.path), "requires": list(self.requires), "text": self.text, "dry_run": self.dry_run}


def init(context: Context, *, dry_run: bool = False) -> NewProject:
    """Write ``skillpm.yaml`` where there is none.

    Registries and agents that were given by flag or by environment are written down. A requirement of the lock is tied
    to the registry or the folder that it came from, so that the file alone gives the same skills again.

    Raises:
        UsageError: there is one already, or the user's home folder is meant.
        LockOutOfDateError: the lock has conflict markers, or is newer than this skillpm.
        StorageError: the disk refused.
    """
    settings = context.settings
    if settings.user:
        raise UsageError(
            "the home folder has no project file", hint=f"what holds everywhere stands in {settings.config}"
        )
    if dry_run:
        return _new(context, dry_run=True)
    with project_held(settings.project):
        made = _new(context, dry_run=False)
        write_atomic(made.path, made.text)
    return made


def _new(context: Context, *, dry_run: bool) -> NewProject:
    path = context.settings.project_path
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path.name} is there already", hint="`skillpm install NAME` adds to it")
    lock = context.lock()
    registries = _registries(context, lock)
    names = {source: name for source, (name, _) in registries.items()}
    requires = {item.name: _value(item, lock.skill(item.name), names) for item in wanted(context, lock)}
    agents = context.settings.setting("agents")
    said = tuple(agents.value) if agents.origin.startswith(SAID) else ()
    text = new_project_text(requires, dict(registries.values()), said)
    return NewProject(path, tuple(requires), text, dry_run)


def _registries(context: Context, lock: Lock) -> dict[str, tuple[str, str]]:
    """Return name and place of the registries that were said and of those that the lock names, by their sources."""
    said = context.settings.setting("registries")
    places = dict(said.value) if said.origin.startswith(SAID) else {}
    sources = {context.registry(place).name: place for place in places.values()}
    sources.update({entry.source: "" for entry in lock.skills if entry.source not in sources})
    found: dict[str, tuple[str, str]] = {}
    for source, place in sources.items():
        kind, _, where = source.partition(":")
        if kind in ("registry", "well-known"):
            wanted_name = registry_name(where)
            taken = [name for name, _ in found.values()]
            found[source] = free_name(wanted_name, taken), where if kind == "registry" else place or where
    return found


def _value(requirement: Requirement, entry: LockedSkill | None, registries: dict[str, str]) -> Value:
    """Return what to write for a requirement of the lock."""
    source = requirement.source or (entry.source if entry is not None else "")
    if source.startswith("path:"):
        place = source.removeprefix("path:")
        return {"path": place if place.startswith(".") else f"./{place}"}
    least = f">={Version(entry.version).public}" if entry is not None else "*"
    specifier = requirement.specifier or least
    if source in registries:
        return {"version": specifier, "registry": registries[source]}
    if source == BUNDLED_REGISTRY and registries:
        return {"version": specifier, "registry": BUNDLED_REGISTRY}
    return specifier

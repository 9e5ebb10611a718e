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
from skillpm.ops.installation import PROJECT_LOCK
from skillpm.ops.wanted import wanted
from skillpm.storage.files import write_atomic
from skillpm.storage.process_lock import locked

__all__ = ["NewProject", "init"]


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
    with locked(settings.project / PROJECT_LOCK):
        made = _new(context, dry_run=False)
        write_atomic(made.path, made.text)
    return made


def _new(context: Context, *, dry_run: bool) -> NewProject:
    path = context.settings.project_path
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path.name} is there already", hint="`skillpm install NAME` adds to it")
    lock = context.lock()
    registries = _registries(context, lock)
    names = {context.registry(str(context.settings.project / place)).name: name for name, place in registries.items()}
    requires = {item.name: _value(item, lock.skill(item.name), names) for item in wanted(context, lock)}
    agents = context.settings.setting("agents")
    said = tuple(agents.value) if agents.origin.startswith(("flag", "environment")) else ()
    return NewProject(path, tuple(requires), new_project_text(requires, registries, said), dry_run)


def _registries(context: Context, lock: Lock) -> dict[str, str]:
    """Return the registries to write down by name: those that were said, and those that the lock names."""
    said = context.settings.setting("registries")
    spoken = said.value if said.origin.startswith(("flag", "environment")) else {}
    sources = [*(context.registry(place).name for place in spoken.values()), *(entry.source for entry in lock.skills)]
    places = dict.fromkeys(source.partition(":")[2] for source in sources if source.startswith("registry:"))
    found: dict[str, str] = {}
    for place in places:
        name = Path(place).name.lower().replace("_", "-").replace(".", "-").strip("-") or "registry"
        plain = name if all(part.isalnum() and part.isascii() for part in name.split("-")) else "registry"
        found[plain if plain not in found else f"{plain}-{len(found) + 1}"] = place
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

"""Find the run folder that a person means: a path, a name that ``skillpm runs list`` prints, or ``latest``."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import LockOutOfDateError, UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.layout.filenames import CONFIGURATION
from skillpm.model.lock import LockedSkill
from skillpm.model.name import did_you_mean
from skillpm.settings import Settings
from skillpm.storage.lockfile import read_lock
from skillpm.storage.store import FETCH_AGAIN, Store
from skillpm.train.base_model import portable_name
from skillpm.train.run_folder import MANIFEST, SEE_RUNS, START

if TYPE_CHECKING:
    from skillpm.train.recipe import Recipe

LATEST = "latest"
_STAMPED = re.compile(r"[0-9]{8}-[0-9]{6}(?![0-9])")


def find_run(settings: Settings, run: Path, *, unfinished: bool = False) -> Path:
    """Return the folder of a run; one that exists at the typed path comes first.

    ``latest`` is the newest finished run, or the newest that was ended before.

    Raises:
        UsageError: there is none.
    """
    if run.exists() or len(run.parts) != 1:
        return run
    folder, name = settings.runs, run.name
    if name == LATEST:
        finished = {path.parent for path in folder.glob(f"*/{MANIFEST}")}
        runs = {path.parent for path in folder.glob(f"*/{START}")} - finished if unfinished else finished
        if not runs:
            raise UsageError(f"{folder} has no {'un' if unfinished else ''}finished run", hint="run `skillpm train`")
        return max(runs, key=began)
    if not (folder / name).is_dir():
        names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        raise UsageError(f"no run folder `{name[:200]}`, here or in {folder}", hint=did_you_mean(name, names, SEE_RUNS))
    return folder / name


def began(run: Path) -> tuple[str, str]:
    """Return what orders runs by their beginning: the time in a folder's name, which is later than in all before it.

    A person may have given the folder another name; then it is the time in start.json.
    """
    name = run.name
    if _STAMPED.match(name):
        return name.replace("-", "", 1), name
    try:
        created = json.loads((run / START).read_bytes())["created"]
        return datetime.fromisoformat(created).astimezone(UTC).strftime("%Y%m%d%H%M%S"), name
    except (OSError, ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return "", name


def stored_adapter(store: Store, entry: LockedSkill) -> Path:
    """Return the folder of an installed adapter. Raises LockOutOfDateError where the store does not have it whole."""
    if not store.verify(entry.tree):
        raise LockOutOfDateError(
            f"the adapter {entry.name} {entry.version} is not in the store as it is locked",
            hint=FETCH_AGAIN,
        )
    return store.path(entry.tree)


def find_adapter(settings: Settings, recipe: Recipe) -> Path | None:
    """Return the folder of the adapter that a recipe begins from: a folder, an installed one, or the last of a run.

    Raises:
        UsageError: there is none, or it is another model's.
        LockOutOfDateError: it is installed, and the store does not have it whole.
    """
    if not recipe.adapter:
        return None
    typed = typed_path(recipe.adapter)
    entry = read_lock(settings.lock_path).skill(recipe.adapter)
    named = stored_adapter(Store(settings.store), entry) if entry and entry.adapter else typed
    folder = named if (named / CONFIGURATION).is_file() else find_run(settings, typed) / "adapter"
    base = configured_base(folder)
    if base is None:
        raise UsageError(
            f"no adapter at {folder}", hint="name a run, an installed adapter, or a folder with adapter_config.json"
        )
    if portable_name(base) != portable_name(recipe.model):
        raise UsageError(
            f"the adapter {recipe.adapter} is one of {base[:200]}, not of {portable_name(recipe.model)}",
            hint="use the model that it was trained on",
        )
    return folder.resolve()


def configured_base(adapter: Path) -> str | None:
    """Return the base model that an adapter's configuration names; None where there is none."""
    try:
        base = json.loads((adapter / CONFIGURATION).read_bytes())["base_model_name_or_path"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return base if isinstance(base, str) and base else None


def run_word(settings: Settings, run: Path) -> str:
    """Return what a person types for a run: its name if it is among the project's runs, else its path."""
    in_project = run.resolve().parent == settings.runs.resolve()
    return run.resolve().name if in_project else str(run)


def project_path(settings: Settings, path: Path) -> Path:
    """Return a path as it is typed in the project folder, where it is below that."""
    try:
        return path.resolve().relative_to(settings.project.resolve())
    except ValueError:
        return path

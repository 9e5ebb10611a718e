"""``skillpm runs``: the training runs of a project listed, shown, compared and removed. It needs no torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from skillpm.errors import SkillpmError, StorageError, UsageError
from skillpm.formats.strict import json_object
from skillpm.ops.learning.runs import began, find_run
from skillpm.settings import Settings
from skillpm.train.metrics import read_metrics
from skillpm.train.run_folder import MANIFEST, RECIPE, ROWS, SEE_RUNS, START, RunFolder

_SETTINGS = ("dtype", "device", "threads", "processes")
State = Literal["finished", "unfinished", "training", "damaged"]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run folder. Its documents are read as JSON: models would take longer to import than the command takes.

    Attributes:
        state: an unfinished run was ended; `skillpm train --resume` goes on with it if it is ``resumable``. The
            manifest of a damaged one cannot be read.
        skills: the version of each skill by its name.
        stages: the steps of each stage that has begun, by its name.
        exact: the share of exact answers after the last stage, of each task set as ``SKILL TASK SET``: of the newest
            evaluation of all tasks, else of the newest. Empty if the run was not evaluated.
    """

    name: str
    state: State
    created: str
    model: str
    skills: Mapping[str, str]
    stages: Mapping[str, int]
    resumable: bool
    size: int
    exact: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run, and the figures of the last step of each stage."""

    run: StoredRun
    folder: Path
    recipe: Mapping[str, Any]
    last: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two runs.

    Attributes:
        differences: what they were made of, by name; each with both values, None where one has none.
        exact: the share of exact answers of both, of each task set that one of them has.
    """

    first: str
    second: str
    differences: Mapping[str, tuple[Any, Any]]
    exact: Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Runs that were removed, or would be, and their bytes on disk."""

    removed: tuple[str, ...]
    size: int


def list_runs(settings: Settings) -> list[StoredRun]:
    """Return the runs of a project, the oldest first."""
    return [_stored(path) for path in _folders(settings.runs)]


def finished_runs(settings: Settings) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return the name, the manifest and the recipe of each finished run, the newest first."""
    paths = [path for path in reversed(_folders(settings.runs)) if _state(path) == "finished"]
    return [(path.name, _document(path), _recipe(path)) for path in paths]


def show_run(settings: Settings, run: Path) -> ShownRun:
    """Return what one run is and has reached. Raises UsageError."""
    path = _existing(settings, run)
    document = _document(path)
    last: dict[str, dict[str, float]] = {}
    for row in read_metrics(path):
        last.setdefault(row["stage"], {}).update({k: v for k, v in row.items() if isinstance(v, int | float)})
    return ShownRun(
        _stored(path), path, _recipe(path), last, document.get("settings", {}), document.get("versions", {})
    )


def compare_runs(settings: Settings, first: Path, second: Path) -> ComparedRuns:
    """Return in what two runs differ, and what both have reached. Raises UsageError."""
    paths = [_existing(settings, run) for run in (first, second)]
    one, other = (_made_of(path) for path in paths)
    differences = {
        name: (one.get(name), other.get(name))
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    }
    left, right = (_exact(path) for path in paths)
    exact = {place: (left.get(place), right.get(place)) for place in sorted(left.keys() | right.keys())}
    return ComparedRuns(paths[0].name, paths[1].name, differences, exact)


def prune_runs(
    settings: Settings, runs: Sequence[Path], *, unfinished: bool, keep: int | None, dry_run: bool
) -> Pruned:
    """Remove runs for ever; a run that is being trained stays.

    ``unfinished`` adds all that were ended, and ``keep`` all finished ones but so many of the newest.

    Raises:
        UsageError: no run is named, there is no such run, or it is being trained.
        StorageError: a folder cannot be removed.
    """
    if not runs and not unfinished and keep is None:
        raise UsageError("no run is named", hint="name runs, or use `--unfinished` or `--keep N`")
    chosen = [_existing(settings, run) for run in runs]
    busy = [path.name for path in chosen if _stored(path).state == "training"]
    if busy:
        raise UsageError(f"the run {busy[0]} is being trained", hint="end it first")
    everything = [(path, _stored(path).state) for path in _folders(settings.runs)]
    if unfinished:
        chosen += [path for path, state in everything if state == "unfinished"]
    if keep is not None:
        finished = [path for path, state in everything if state == "finished"]
        chosen += finished[: max(0, len(finished) - keep)]
    chosen = list(dict.fromkeys(path.resolve() for path in chosen))
    size = sum(_size(path) for path in chosen)
    for path in () if dry_run else chosen:
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise StorageError(f"{path} cannot be removed: {error.strerror}", hint="check its rights") from None
    return Pruned(tuple(path.name for path in chosen), size)


def _folders(runs: Path) -> list[Path]:
    """Return the folders in which a run was written, the oldest first; other folders are not ours."""
    if not runs.is_dir():
        return []
    return [path for path in sorted(runs.iterdir(), key=began) if not path.name.startswith(".") and _is_run(path)]


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in (MANIFEST, START, RECIPE))


def _existing(settings: Settings, run: Path) -> Path:
    path = find_run(settings, run)
    if not _is_run(path):
        raise UsageError(f"{path} is not a run folder", hint=SEE_RUNS)
    return path


def _stored(path: Path) -> StoredRun:
    document = _document(path)
    steps: dict[str, int] = {}
    for row in read_metrics(path):
        steps[row["stage"]] = max(row["step"], steps.get(row["stage"], 0))
    return StoredRun(
        name=path.name,
        state=(state := _state(path)),
        created=str(document.get("created", "")),
        model=str(document.get("model") or _recipe(path).get("model", "")),
        skills={skill["name"]: skill["version"] for skill in document.get("skills", ())},
        stages=steps,
        resumable=state in ("unfinished", "training") and (path / START).is_file(),
        size=_size(path),
        exact=_exact(path),
    )


def _state(path: Path) -> State:
    if (path / MANIFEST).is_file():
        return "finished" if _read(path / MANIFEST) else "damaged"
    return "training" if RunFolder(path).is_in_use else "unfinished"


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def _document(path: Path) -> dict[str, Any]:
    """Return manifest.json, else start.json, else nothing; a damaged one is nothing."""
    return _read(path / MANIFEST) or _read(path / START)


def _read(path: Path) -> dict[str, Any]:
    """Return what a run was made of, as one of its documents has it; nothing where that is damaged."""
    document = json_object(path)
    return document if _has_form(document) else {}


def _has_form(document: Mapping[str, Any]) -> bool:
    """Is what we read of a document there, and is it what it should be?"""
    if not {"skills", "files", "versions"} <= document.keys():
        return False
    lists = (("skills", {"name", "version", "tree"}), ("stages", {"name", "kind", "steps", "seconds"}))
    rows = ((document.get(name, []), keys) for name, keys in lists)
    return all(isinstance(document.get(name, {}), dict) for name in ("files", "settings", "versions")) and all(
        isinstance(items, list) and all(isinstance(item, dict) and keys <= item.keys() for item in items)
        for items, keys in rows
    )


def _recipe(path: Path) -> dict[str, Any]:
    try:
        return RunFolder(path).recipe
    except SkillpmError:
        return {}


def _exact(run: Path) -> dict[str, float | None]:
    """Return the figures that a manifest shows."""
    try:
        manifest = _document(run)
        evaluations = manifest.get("evaluations", [])
        shown = [item for item in evaluations if item["whole"]] or evaluations
        last = [stage["name"] for stage in manifest["stages"] if stage.get("adapter")][-1]
        rows = [row for row in shown[-1]["figures"] if row["arm"] == last] if shown else []
        return {f"{row['skill']} {row['task_set']}": row.get("exact") for row in rows}
    except (LookupError, TypeError, AttributeError):
        return {}


def _made_of(path: Path) -> dict[str, Any]:
    """Return everything that decides a run, each value under one name."""
    document = _document(path)
    files = document.get("files", {})
    made = dict(_flat("recipe", _recipe(path)))
    made |= {f"skill.{skill['name']}": f"{skill['version']} {skill['tree']}" for skill in document.get("skills", ())}
    made |= {f"data.{name}": files.get(file) for name, file in ROWS.items()}
    made |= {f"settings.{name}": document.get("settings", {}).get(name) for name in _SETTINGS}
    made |= {f"versions.{name}": version for name, version in document.get("versions", {}).items()}
    return {**made, "model_digest": document.get("model_digest")}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}", item)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:  # stages, each under its name
            yield from _flat(f"{name}.{item.get('name', item.get('kind'))}", item)
    else:
        yield name, value

"""Adapters as things to hand on: packed out of a run, and checked where they arrive."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import IntegrityError, UsageError
from skillpm.formats.document import read_model, typed_values
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.adapter import AdapterRelease, TaughtSkill
from skillpm.model.run import RunManifest
from skillpm.ops.context import Context
from skillpm.storage.files import read_text, write_atomic
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.base_model import portable_name
from skillpm.train.run_folder import RunFolder

RELEASE, RECIPE = "adapter.json", "recipe.yaml"
_DATA = ("train", "held_out")


@dataclass(frozen=True, slots=True)
class CheckedAdapter:
    """A packed adapter whose files are those that it names.

    Attributes:
        outdated: of each skill that is installed with another content: the version that was learned, the one here.
    """

    release: AdapterRelease
    outdated: dict[str, tuple[str, str]]


def pack_adapter(run: Path, output: Path) -> AdapterRelease:
    """Write the adapter of a finished run as a folder that names no path of this machine.

    Args:
        run: its folder.
        output: a new folder.

    Raises:
        UsageError: there is no such run, it is unfinished, or the output exists.
        IntegrityError: a file of the run is not the one that it was finished with.
        StorageError: the disk refused.
    """
    folder = RunFolder.open(run)
    manifest, adapter = folder.manifest, folder.saved_adapter()
    for path in _files(adapter):
        _same(path, manifest.files.get(path.relative_to(run).as_posix()))
    recipe = _portable_recipe(folder, manifest)
    with whole_folder(output) as target:
        for path in _files(adapter):
            shutil.copyfile(path, target / path.name)
        write_atomic(target / RECIPE, recipe)
        files = {path.name: _digest(path) for path in _files(target)}
        release = _release(manifest, hashlib.sha256(recipe.encode()).hexdigest(), files)
        write_atomic(target / RELEASE, release.model_dump_json(indent=2, exclude_none=True) + "\n")
    return release


def check_adapter(context: Context, folder: Path) -> CheckedAdapter:
    """Compare a packed adapter with what it says of itself, and with the skills that are installed here.

    Raises:
        UsageError: the folder has no packed adapter.
        DocumentError: adapter.json is wrong.
        IntegrityError: a file is missing, changed or not named.
    """
    path = folder / RELEASE
    if not path.is_file():
        raise UsageError(f"no packed adapter at {folder}", hint="make one with `skillpm adapter pack RUN --output DIR`")
    release = read_model(AdapterRelease, read_text(path), path=str(path))
    here = {file.name: file for file in _files(folder) if file.name != RELEASE}
    for name in sorted(here.keys() | release.files.keys()):
        _same(here.get(name, folder / name), release.files.get(name))
    installed = {skill.name: skill for skill in context.lock().skills}
    outdated = {
        skill.name: (skill.version, installed[skill.name].version)
        for skill in release.skills
        if skill.name in installed and installed[skill.name].tree != skill.tree
    }
    return CheckedAdapter(release, outdated)


def _release(manifest: RunManifest, recipe: str, files: dict[str, str]) -> AdapterRelease:
    shown, last = manifest.shown_evaluation, manifest.stages[-1].name
    return AdapterRelease(
        name=manifest.name,
        created=manifest.created,
        kind="adapter" if "adapter_config.json" in files else "model",
        base_model=manifest.base_model or portable_name(manifest.model),
        base_revision=manifest.base_revision,
        base_digest=manifest.model_digest,
        skills=tuple(TaughtSkill(name=item.name, version=item.version, tree=item.tree) for item in manifest.skills),
        data={name: manifest.files[f"data/{name}.jsonl"] for name in _DATA},
        recipe=recipe,
        rows=manifest.rows,
        stages=manifest.stages,
        versions=manifest.versions,
        evaluation=tuple(figure for figure in shown.figures if figure.arm in (last, "base")) if shown else (),
        files=files,
    )


def _portable_recipe(folder: RunFolder, manifest: RunManifest) -> str:
    """Return the recipe with names in the place of the paths of models, adapters and skills."""
    import yaml

    path = folder.path / RECIPE
    recipe: dict[str, Any] = typed_values(read_yaml(read_text(path), path=str(path)))
    recipe |= {"model": portable_name(manifest.model), "skills": [skill.name for skill in manifest.skills]}
    if recipe.get("adapter"):
        recipe["adapter"] = Path(str(recipe["adapter"])).name
    return str(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same(path: Path, expected: str | None) -> None:
    found = _digest(path) if path.is_file() else "missing"
    if found != expected:
        raise IntegrityError(
            f"{path} has changed: its SHA-256 is {found}, expected {expected or 'no such file'}",
            hint="do not use it; fetch it again, or train again",
        )

"""``skillpm cache``: what lies in the store and in the cache, and the removal of what nothing needs.

Of the cache, pages and repositories go, which a command that needs them fetches again; a repository that was used
within the hour stays, since somebody may be reading it. Prepared models, which took long, go only where that is asked.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillpm.errors import SkillpmError, StorageError
from skillpm.formats.as_json import as_json
from skillpm.index.source import PAGES, REPOSITORIES
from skillpm.layout.description import describe
from skillpm.layout.package import Package
from skillpm.layout.tree import FolderTree
from skillpm.settings import Settings
from skillpm.storage.files import storage_error
from skillpm.storage.process_lock import WAIT
from skillpm.storage.store import Store
from skillpm.storage.unpack import remove_tree
from skillpm.storage.usage import forget_project, known_projects, needed_trees
from skillpm.worker.environments import Environments

SEALED = 86400.0  # seconds that a sealed copy stays after its last use; a run restarts its workers from it
RESTED = 3600.0  # seconds after which nobody is at work with a repository any more


@dataclass(frozen=True, slots=True)
class StoredTree:
    """One stored skill.

    Attributes:
        tree: its digest.
        name: the skill's; empty where it is damaged beyond reading.
        version: the skill's; empty as well.
        size: bytes of its files.
    """

    tree: str
    name: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class CacheFolder:
    """A folder of what can be made again; ``size`` in bytes."""

    name: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What lies in store and cache.

    Attributes:
        store: the store's folder.
        cache: the cache's folder.
        trees: every stored skill, with the projects that need it.
        gone: projects that were noted and are no more.
        leftovers: what killed runs left in the store; the next writer removes it.
        folders: what lies in the cache.
    """

    store: Path
    cache: Path
    trees: tuple[tuple[StoredTree, tuple[Path, ...]], ...]
    gone: tuple[Path, ...]
    leftovers: CacheFolder
    folders: tuple[CacheFolder, ...]

    @property
    def needed(self) -> list[StoredTree]:
        """The stored skills that some project needs."""
        return [tree for tree, projects in self.trees if projects]

    @property
    def unneeded(self) -> list[StoredTree]:
        """The stored skills that `prune` would remove."""
        return [tree for tree, projects in self.trees if not projects]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "store": self.store,
            "cache": self.cache,
            "skills": [as_json(tree, projects=projects) for tree, projects in self.trees],
            "gone": self.gone,
            "leftovers": self.leftovers,
            "folders": self.folders,
        }


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a clean-up removed, or would.

    Attributes:
        removed: stored skills.
        forgotten: projects that are gone.
        kept: how many stored skills stay.
        dry_run: was nothing removed?
        environments: the Python environments that went.
        cached: what went of the cache's folders, each as one.
        models: prepared models that stay.
    """

    removed: tuple[StoredTree, ...]
    forgotten: tuple[Path, ...]
    kept: int
    dry_run: bool
    environments: tuple[CacheFolder, ...] = ()
    cached: tuple[CacheFolder, ...] = ()
    models: int = 0

    @property
    def size(self) -> int:
        """The bytes that become free."""
        folders = sum(folder.size for folder in (*self.environments, *self.cached))
        return folders + sum(tree.size for tree in self.removed)

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "removed": self.removed,
            "environments": self.environments,
            "size": self.size,
            "forgotten": self.forgotten,
            "kept": self.kept,
            "cached": self.cached,
            "models": self.models,
            "dry_run": self.dry_run,
        }


def inspect_cache(settings: Settings) -> CacheReport:
    """Return what lies in store and cache; nothing is written.

    Raises:
        StorageError: a project's lock, or the store, cannot be read.
    """
    store = Store(settings.store)
    users, gone = _users(settings)
    trees = tuple((_stored(store, tree), users.get(tree, ())) for tree in store.digests())
    folders = sorted(settings.cache.iterdir()) if settings.cache.is_dir() else []
    return CacheReport(
        settings.store, settings.cache, trees, gone, _folder(store.root / "tmp"), tuple(map(_folder, folders))
    )


def prune(settings: Settings, *, models: bool = False, dry_run: bool = False, wait: float = WAIT) -> Pruned:
    """Remove the stored skills that no lock and no record of any known project needs, and what the cache has.

    Environments that no remaining stored skill asks for are removed where nobody has used them for a day.

    A project is known once it was installed into; the project of the settings always is. A project whose folder is gone
    is forgotten. Installs that are going on are waited for, and new ones wait until this has ended.

    Args:
        settings: whose store and cache.
        models: remove prepared models as well.
        dry_run: remove nothing.
        wait: for installs that are going on, in seconds.

    Raises:
        StorageError: a project's lock, or the store, cannot be read or written; nothing was removed in the first case.
        BusyError: an install has held the store for ``wait`` seconds.
    """
    found = _prune_store(settings, dry_run=dry_run, wait=wait)
    cached = tuple(_emptied(settings.cache / name, dry_run=dry_run) for name in (PAGES, REPOSITORIES))
    cached += (replace(_emptied(Store(settings.sealed).trees, dry_run=dry_run), name=settings.sealed.name),)
    if models:
        cached += (_emptied(settings.models, dry_run=dry_run),)
    left = 0 if models or not settings.models.is_dir() else len(list(settings.models.iterdir()))
    return replace(found, cached=tuple(folder for folder in cached if folder.files), models=left)


def _prune_store(settings: Settings, *, dry_run: bool, wait: float) -> Pruned:
    store = Store(settings.store)
    if dry_run or not store.root.is_dir():
        return _unneeded(settings, store, dry_run=dry_run)
    with store.cleaning(wait):
        found = _unneeded(settings, store, dry_run=False)
        for tree in found.removed:
            store.remove(tree.tree)
        for project in found.forgotten:
            forget_project(store.root, project)
    for environment in found.environments:
        shutil.rmtree(settings.environments / environment.name, ignore_errors=True)
    return found


def _emptied(folder: Path, *, dry_run: bool) -> CacheFolder:
    """Remove what a folder of the cache has, in one step each; return what that was."""
    files = size = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _in_use(path):
            continue
        found = _folder(path)
        files, size = files + found.files, size + found.size
        if not dry_run:
            aside = path.with_name(f".removed-{os.urandom(8).hex()}")
            try:
                path.rename(aside)
            except FileNotFoundError:
                continue  # another clean-up was faster
            except OSError as error:
                raise storage_error("remove", path, error) from None
            remove_tree(aside)
    return CacheFolder(folder.name, files, size)


def _in_use(path: Path) -> bool:
    """May another process be at work with a repository or a sealed copy, or wait for a lock?"""
    if path.suffix == ".lock":
        return True
    seconds = RESTED if path.suffix == ".git" else SEALED if path.parent.parent.name == "sealed" else 0.0
    try:
        return time.time() - path.stat().st_mtime < seconds
    except OSError:
        return True


def _unneeded(settings: Settings, store: Store, *, dry_run: bool) -> Pruned:
    users, gone = _users(settings)
    digests = store.digests()
    removed = tuple(_stored(store, tree) for tree in digests if tree not in users)
    packages = [_packages(store.path(tree)) for tree in digests if tree in users]
    environments = tuple(map(_folder, Environments(settings.environments).unneeded(packages)))
    return Pruned(removed, gone, len(digests) - len(removed), dry_run, environments)


def _packages(path: Path) -> tuple[str, ...]:
    try:
        manifest = Package(FolderTree(path)).manifest.value
    except SkillpmError:
        manifest = None
    return () if manifest is None else manifest.python


def _users(settings: Settings) -> tuple[dict[str, tuple[Path, ...]], tuple[Path, ...]]:
    """Return which projects need which tree, and the projects that are gone."""
    users: dict[str, tuple[Path, ...]] = {}
    gone = []
    here = Path(os.path.realpath(settings.project))
    known = known_projects(settings.store)
    for project in sorted({here, *known}):
        needed = needed_trees(project)
        if needed is None and project in known:
            gone.append(project)
        for tree in needed or ():
            users[tree] = (*users.get(tree, ()), project)
    return users, tuple(gone)


def _stored(store: Store, tree: str) -> StoredTree:
    path = store.path(tree)
    try:
        found = describe(FolderTree(path))
        name, version = found.name, found.version
    except SkillpmError:
        name = version = ""
    return StoredTree(tree, name, version, _folder(path).size)


def _folder(path: Path) -> CacheFolder:
    """Count the files of a folder, links not followed."""
    sizes = list(_sizes(path))
    return CacheFolder(path.name, len(sizes), sum(sizes))


def _sizes(path: Path) -> Iterable[int]:
    pending = [str(path)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False).st_size
        except NotADirectoryError:
            yield path.lstat().st_size
        except FileNotFoundError:
            continue  # another process has removed it
        except OSError as error:
            raise StorageError(f"cannot look into {path}: {error.strerror}") from None

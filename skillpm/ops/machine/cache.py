"""``skillpm cache``: the contents of the store and of the cache, and the removal of unneeded parts.

A clean-up removes cached pages and repositories, which commands fetch again. It keeps a repository that was used within
the last hour, because another process may be reading it. It removes prepared models only on request.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from skillpm.errors import SkillpmError, StorageError
from skillpm.formats.as_json import as_json
from skillpm.index.page_cache import PAGES
from skillpm.index.source import REPOSITORIES
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree
from skillpm.settings import Settings
from skillpm.storage.files import storage_error
from skillpm.storage.process_lock import WAIT
from skillpm.storage.store import Store
from skillpm.storage.unpack import remove_tree
from skillpm.storage.usage import forget_project, known_projects, needed_trees
from skillpm.trust.consent import Consents, Grant
from skillpm.worker.environments import Environments

SEALED = 86400.0  # seconds that a sealed copy stays after its last use; a run restarts its workers from it
RESTED = 3600.0  # seconds after which no process uses a repository any more


@dataclass(frozen=True, slots=True)
class StoredTree:
    """One stored skill.

    Attributes:
        name: of the skill; empty if it is unreadable.
        version: of the skill; empty if it is unreadable.
        size: bytes of its files.
    """

    tree: str
    name: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class CacheFolder:
    """A folder of the cache; ``size`` in bytes."""

    name: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class CacheReport:
    """The contents of the store and of the cache.

    Attributes:
        trees: every stored skill, with the projects that need it.
        gone: noted projects that no longer exist.
        leftovers: of killed runs, in the store; the next writer removes them.
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

    @property
    def skills(self) -> list[dict[str, Any]]:
        """The stored skills, each with the projects that need it, as JSON."""
        return [as_json(tree, projects=projects) for tree, projects in self.trees]

    json_keys: ClassVar = ("store", "cache", "skills", "gone", "leftovers", "folders")


@dataclass(frozen=True, slots=True)
class Pruned:
    """The outcome of a clean-up or of its dry run.

    Attributes:
        kept: the number of kept skills.
        cached: the removed files of each folder of the cache.
        models: the number of kept prepared models.
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
        """The freed bytes."""
        folders = sum(folder.size for folder in (*self.environments, *self.cached))
        return folders + sum(tree.size for tree in self.removed)

    json_keys: ClassVar = ("removed", "environments", "size", "forgotten", "kept", "cached", "models", "dry_run")


def inspect_cache(settings: Settings) -> CacheReport:
    """Return the contents of the store and of the cache; nothing is written.

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
    """Remove cached files and the stored skills that no lock and no record of a known project needs.

    Environments go if no remaining skill needs them and nobody has used them for a day. Every project with an install
    is known, and so is the project of the settings. A project whose folder is gone is forgotten. The clean-up waits for
    running installs, and new installs wait for it. ``wait`` is the time in seconds to wait for running installs.

    Raises:
        StorageError: a project's lock cannot be read, and nothing was removed; or the store cannot be written.
        BusyError: an install has held the store for ``wait`` seconds.
    """
    pruned = _prune_store(settings, dry_run=dry_run, wait=wait)
    cached = tuple(_emptied(settings.cache / name, dry_run=dry_run) for name in (PAGES, REPOSITORIES))
    cached += (replace(_emptied(Store(settings.sealed).trees, dry_run=dry_run), name=settings.sealed.name),)
    cached += (_emptied(settings.completions, dry_run=dry_run),)
    if models:
        cached += (_emptied(settings.models, dry_run=dry_run),)
    remaining = 0 if models or not settings.models.is_dir() else len(list(settings.models.iterdir()))
    return replace(pruned, cached=tuple(folder for folder in cached if folder.files), models=remaining)


def _prune_store(settings: Settings, *, dry_run: bool, wait: float) -> Pruned:
    store = Store(settings.store)
    if dry_run or not store.root.is_dir():
        return _unneeded(settings, store, dry_run=dry_run)
    with store.cleaning(wait):
        pruned = _unneeded(settings, store, dry_run=False)
        for tree in pruned.removed:
            store.remove(tree.tree)
        for project in pruned.forgotten:
            forget_project(store.root, project)
    for environment in pruned.environments:
        remove_tree(settings.environments / environment.name)
    return pruned


def _emptied(folder: Path, *, dry_run: bool) -> CacheFolder:
    """Remove the entries of a folder of the cache, each in one step; return their number and size."""
    files = size = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _in_use(path):
            continue
        entry = _folder(path)
        files, size = files + entry.files, size + entry.size
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
    """May another process use this repository or this sealed copy, or wait for its lock?"""
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
    wheels = [grant.wheels for tree, grant in _grants(settings) if tree in users and grant.wheels is not None]
    environments = tuple(map(_folder, Environments(settings.environments).unneeded(wheels)))
    return Pruned(removed, gone, len(digests) - len(removed), dry_run, environments)


def _grants(settings: Settings) -> Iterable[tuple[str, Grant]]:
    try:
        return Consents(settings.consents).grants().items()
    except SkillpmError:  # an environment is built again when it is needed
        return ()


def _users(settings: Settings) -> tuple[dict[str, tuple[Path, ...]], tuple[Path, ...]]:
    """Return the projects that need each tree, and the projects that no longer exist."""
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
        description = describe(FolderTree(path))
        name, version = description.name, description.version
    except SkillpmError:
        name = version = ""
    return StoredTree(tree, name, version, _folder(path).size)


def _folder(path: Path) -> CacheFolder:
    """Count the files of a folder without following links."""
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

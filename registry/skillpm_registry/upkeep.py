"""Looks after a registry's folder: is everything whole, and what does nothing need any more?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import SkillpmError, StorageError
from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.pages import archive_path
from skillpm.ops.project.fetch import open_release
from skillpm.ops.project.identity import refuse_impostor
from skillpm_registry.blobs import StoredRegistry, open_registry

_YOUNG = 24 * 3600.0  # seconds in which a publication may still need its archive


def damages(root: Path) -> Iterator[str]:
    """Yield what is lost or damaged: pages that cannot be read, archives that are not what their page says.

    Args:
        root: the registry's folder.

    Raises:
        RegistryError: the folder is not a registry.
        StorageError: the object store is away.
    """
    index = open_registry(root, "registry")
    _ = index.config  # raises RegistryError
    for name in index.names():
        try:
            page = index.page(name)
            for release in page.releases if page else ():
                try:
                    refuse_impostor(name, release, open_release(name, release, index), "the page")
                except StorageError:
                    raise
                except SkillpmError as error:
                    yield f"{name} {release.version}: {error.message}"
        except StorageError:
            raise
        except SkillpmError as error:
            yield f"{name}: {error.message}"


def unneeded(root: Path) -> list[Path]:
    """Return the archives that no release has and that are older than a day: what killed publishers left.

    Raises:
        RegistryError: the folder is not a registry, or a page cannot be read, so nobody knows what it needs.
    """
    index = open_registry(root, "registry")
    _ = index.config  # raises RegistryError
    oldest = time.time() - _YOUNG
    old = [path for path in sorted(root.glob("archives/*/*")) if path.is_file() and path.stat().st_mtime < oldest]
    needed = {root / path for path in _needed(index)}
    return [path for path in old if path not in needed]


def collect_blobs(root: Path, *, dry_run: bool) -> list[str]:
    """Remove the same from the object store, if the registry has one; return the paths in it.

    Raises:
        RegistryError: like ``unneeded``.
        StorageError: the store is away, or refuses.
    """
    index = open_registry(root, "registry")
    if not isinstance(index, StoredRegistry):
        return []
    old = index.blobs.older(time.time() - _YOUNG)  # first: what a page gets meanwhile is young
    needed = _needed(index)
    unneeded = [path for path in old if path not in needed]
    for path in () if dry_run else unneeded:
        index.blobs.remove(path)
    return unneeded


def _needed(index: FolderRegistry) -> set[str]:
    pages = [page for name in index.names() if (page := index.page(name)) is not None]
    return {archive_path(release.archive) for page in pages for release in page.releases}

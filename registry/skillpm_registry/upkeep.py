"""Looks after a registry's folder: is everything whole, and what does nothing need any more?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from skillpm.errors import SkillpmError, StorageError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.paths import archive_path
from skillpm.ops.project.fetch import open_release
from skillpm.ops.project.identity import refuse_impostor
from skillpm.storage.files import DiskErrors
from skillpm_registry.blobs import StoredRegistry, open_registry

_YOUNG = 24 * 3600.0  # seconds in which a publication may still need its archive


def damages(root: Path) -> Iterator[str]:
    """Yield what is lost or damaged: pages that cannot be read, archives that are not what their page says.

    Of a signed registry also what its clients would refuse: metadata, signed copies of pages, and the log.

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
    if index.config.signed is not None:
        yield from _unsigned(root, index.names())


def _unsigned(root: Path, names: list[str]) -> Iterator[str]:
    """Yield what a new client of a signed registry would refuse, each reason once."""
    from skillpm.index.signed_pages import SignedPages

    told = set()
    with TemporaryDirectory() as seen:
        client = DirectoryIndex(
            root, "registry", lambda place, fetch: SignedPages(place, fetch, Path(seen), lambda sentence: None)
        )
        for name in names:
            try:
                page = client.page(name)
                reason = f"{name}: it is not in the signed metadata" if page is None else ""
                for release in page.releases if page else ():
                    client.demand_logged(name, release)
            except SkillpmError as error:
                reason = error.message
            if reason and reason not in told:
                told.add(reason)
                yield reason


def collect(root: Path, *, dry_run: bool) -> list[str]:
    """Remove the archives that no release has and that are older than a day: what killed publishers left.

    Args:
        root: the registry's folder.
        dry_run: remove nothing.

    Returns:
        Their paths in the folder and in the object store.

    Raises:
        RegistryError: the folder is not a registry, or is damaged, so nobody knows what it needs.
        StorageError: the disk or the object store refuses.
    """
    index = open_registry(root, "registry")
    _ = index.config  # raises RegistryError
    oldest = time.time() - _YOUNG  # what a release gets meanwhile is young
    paths = (path for path in sorted(root.glob("archives/*/*")) if path.is_file() and path.stat().st_mtime < oldest)
    files = [path.relative_to(root).as_posix() for path in paths]
    blobs = index.blobs if isinstance(index, StoredRegistry) else None
    stored = blobs.older(oldest) if blobs else []
    needed = {archive_path(release.archive) for release in index.releases()}
    files, stored = ([path for path in paths if path not in needed] for paths in (files, stored))
    if dry_run:
        return [*files, *stored]
    for path in files:
        with DiskErrors("remove", root / path):
            (root / path).unlink(missing_ok=True)
    if blobs:
        for path in stored:
            blobs.remove(path)
    return [*files, *stored]

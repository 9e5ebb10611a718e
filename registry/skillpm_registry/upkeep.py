"""Looks after a registry's folder: is everything whole, and what does nothing need any more?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import SkillpmError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.pages import archive_path
from skillpm.ops.project.fetch import open_release

_YOUNG = 24 * 3600.0  # seconds in which a publication may still need its archive


def damages(root: Path) -> Iterator[str]:
    """Yield what is lost or damaged: pages that cannot be read, archives that are not what their page says.

    Args:
        root: the registry's folder.

    Raises:
        RegistryError: the folder is not a registry.
    """
    index = DirectoryIndex(root, "registry")
    _ = index.config  # raises RegistryError
    for name in index.names():
        try:
            page = index.page(name)
            for release in page.releases if page else ():
                try:
                    open_release(name, release, index)
                except SkillpmError as error:
                    yield f"{name} {release.version}: {error.message}"
        except SkillpmError as error:
            yield f"{name}: {error.message}"


def unneeded(root: Path) -> list[Path]:
    """Return the archives that no release has and that are older than a day: what killed publishers left.

    Raises:
        RegistryError: the folder is not a registry, or a page cannot be read, so nobody knows what it needs.
    """
    index = DirectoryIndex(root, "registry")
    _ = index.config  # raises RegistryError
    oldest = time.time() - _YOUNG
    old = [path for path in sorted(root.glob("archives/*/*")) if path.is_file() and path.stat().st_mtime < oldest]
    pages = [page for name in index.names() if (page := index.page(name)) is not None]
    needed = {root / archive_path(release.archive) for page in pages for release in page.releases}
    return [path for path in old if path not in needed]

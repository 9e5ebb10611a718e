"""What several protocols ask: the releases of a skill that may be had, and their archives as they are served."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache

from fastapi import HTTPException

from skillpm.errors import SkillpmError
from skillpm.layout.tree import Tree
from skillpm.model.release import Page, Release
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.protocols.semantic import semantic

EPOCH = "1970-01-01T00:00:00Z"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can state


def page_of(catalogue: Catalogue, name: str) -> Page:
    """Return the page of a skill. Raises HTTPException 404."""
    page = catalogue.page(name)
    if page is None or not page.releases:
        raise HTTPException(404, f"there is no skill `{name[:80]}`")
    return page


def available(page: Page) -> list[Release]:
    """Return the releases that are not in quarantine, newest first."""
    return [release for release in page.newest_first() if not release.quarantined]


def release_of(page: Page, version: str) -> Release:
    """Return one of the available releases, by its version or its semver form. Raises HTTPException 404."""
    for release in available(page):
        if version in (release.version, semantic(release.version)):
            return release
    raise HTTPException(404, f"`{page.name}` has no version `{version[:40]}`")


def tree_of(catalogue: Catalogue, name: str, release: Release) -> Tree:
    """Return the files of a release. Raises HTTPException 404 if its archive is lost or damaged."""
    try:
        return catalogue.tree(name, release)
    except SkillpmError as error:
        raise HTTPException(404, error.message) from None


@lru_cache(maxsize=20_000)
def served_digest(catalogue: Catalogue, archive: str) -> str:
    """Return the hex SHA-256 of an archive's bytes as they lie in the folder. Raises HTTPException 404."""
    try:
        data = catalogue.folder.archive("", Release(version="0", archive=archive, tree=archive, size=0))
    except SkillpmError as error:
        raise HTTPException(404, error.message) from None
    return hashlib.sha256(data).hexdigest()


def zipped(tree: Tree) -> bytes:
    """Return the files as a zip; same files, same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in tree.paths():
            entry = zipfile.ZipInfo(path, _EARLIEST)
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if tree.executable(path) else 0o100644) << 16
            archive.writestr(entry, tree.read(path))
    return buffer.getvalue()

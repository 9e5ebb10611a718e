"""One tree that is a skill: an index of one name with one release, made from what is there now.

Most of them are folders (``PathIndex``); a commit of a repository, a file in a registry's shop window and an archive on
the disk are others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from skillpm.errors import LockOutOfDateError, RegistryError, UsageError
from skillpm.index.pages import MAX_ARCHIVE
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree, Tree, tree_digest
from skillpm.model.release import Listing, Page, Release
from skillpm.storage.archive import build_archive, read_archive


@runtime_checkable
class FilesIndex(Protocol):
    """An index that has the files themselves, so that no archive need be made and taken apart on the way."""

    def files(self, name: str, release: Release) -> Tree:
        """Return the files of a release, in memory, as its archive would hold them.

        Raises:
            LockOutOfDateError: a folder no longer holds this release.
            RegistryError: the index failed.
        """


def release_of(tree: Tree, archive: bytes) -> tuple[str, Release]:
    """Return the name of a tree and the release that it makes.

    Raises:
        LayoutError: it is not a skill.
        DocumentError: its skill.yaml is invalid.
    """
    found = describe(tree)
    manifest = found.manifest
    return found.name, Release(
        version=found.version,
        archive=hashlib.sha256(archive).hexdigest(),
        tree=tree_digest(tree),
        size=len(archive),
        requires=manifest.requires if manifest else {},
        hooks=manifest.hooks if manifest else 1,
        summary=found.description[:1024],
    )


class TreeIndex:
    """A tree that is a skill.

    Args:
        name: what a lock calls this source: ``path:../skills/mine`` or ``bundled``.
        load: gives the tree as it is now; may raise any SkillpmError.
        again: what to install in order to take what is there now, for a hint.
        asked: what a requirement calls this source, where a lock pins what that names; else the same.
        remote: is loading it a round trip?
    """

    made_here = True

    def __init__(
        self, name: str, load: Callable[[], Tree], again: str, *, asked: str = "", remote: bool = False
    ) -> None:
        self.name = name
        self.asked = asked or name
        self.remote = remote
        self._load = load
        self._again = again

    @cached_property
    def tree(self) -> Tree:
        """The tree, which may not be a skill. Raises SkillpmError."""
        return self._load()

    @cached_property
    def _content(self) -> tuple[str, Release]:
        return release_of(self.tree, self._packed())

    def _packed(self) -> bytes:
        return build_archive(self.tree)

    @property
    def skill(self) -> str:
        """The name of the skill that lies there. Raises UsageError, LayoutError, DocumentError."""
        return self._content[0]

    def page(self, name: str) -> Page | None:
        """Return the one release. Raises LayoutError, DocumentError, IntegrityError."""
        skill, release = self._content
        return Page(name=skill, releases=(release,)) if name == skill else None

    def names(self) -> list[str]:
        """Return the one name."""
        return [self.skill]

    def listings(self) -> Iterator[Listing]:
        """Yield the one skill. Raises LayoutError, DocumentError."""
        skill, release = self._content
        yield Listing(skill, release.version, release.summary)

    def archive(self, name: str, release: Release) -> bytes:
        """Return the archive of what lies there. Raises LockOutOfDateError where that is not this release."""
        self.files(name, release)
        return self._packed()

    def files(self, name: str, release: Release) -> Tree:
        """Return what lies there, fit for an archive. Raises LockOutOfDateError where that is not this release."""
        skill, present = self._content
        if (name, release.tree) != (skill, present.tree):
            raise LockOutOfDateError(
                f"{self.name} no longer holds {name} {release.version} with the content that is locked",
                hint=f"run `skillpm install {self._again}` to take what it holds now",
                locked=release.tree,
                found=present.tree,
            )
        return self.tree


class PathIndex(TreeIndex):
    """A skill's folder.

    Args:
        folder: the folder with SKILL.md.
        name: what a lock calls this source: ``path:../skills/mine`` or ``bundled``.
        again: what to install in order to take what lies there now, for a hint.
    """

    def __init__(self, folder: Path, name: str, *, again: str = "") -> None:
        super().__init__(name, self._walked, again or str(folder))
        self.folder = folder

    def _walked(self) -> Tree:
        if not self.folder.is_dir():
            raise UsageError(
                f"{self.folder} is not a folder",
                hint="give the folder that holds SKILL.md, or a name without `/` to look it up",
            )
        return FolderTree(self.folder, keep=True)


class ArchiveIndex(TreeIndex):
    """A file that ends with ``.tar.gz``.

    Args:
        file: where it lies.
        name: what a lock calls this source: ``archive:../mine-1.0.tar.gz``.
    """

    made_here = False

    def __init__(self, file: Path, name: str) -> None:
        super().__init__(name, lambda: read_archive(self._bytes), str(file))
        self.file = file

    def _packed(self) -> bytes:
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        try:
            with self.file.open("rb") as file:
                data = file.read(MAX_ARCHIVE + 1)
        except OSError as error:
            raise UsageError(f"{self.file} cannot be read: {error.strerror}", hint="check the path") from None
        if len(data) > MAX_ARCHIVE:
            raise RegistryError(f"{self.file} is larger than {MAX_ARCHIVE} bytes", hint="no skill's archive is")
        return data

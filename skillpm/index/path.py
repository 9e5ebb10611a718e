"""An index of one skill: a tree with one name and one release, made from its present content.

Most are folders (``PathIndex``). Others are a commit of a repository, a skill of a web site, or an archive on the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from skillpm.errors import IntegrityError, LockOutOfDateError, UsageError
from skillpm.formats.gathered import Bytes
from skillpm.layout.description import describe
from skillpm.layout.source_tree import SourceTree
from skillpm.layout.tree import Tree, tree_digest
from skillpm.model.release import Page, Release
from skillpm.storage.archive import build_archive

if TYPE_CHECKING:
    from skillpm.model.finding import Report


@runtime_checkable
class FilesIndex(Protocol):
    """An index with the files themselves, so that no archive is packed and unpacked."""

    def files(self, name: str, release: Release) -> Tree:
        """Return the files of a release, in memory, as its archive has them.

        Raises:
            LockOutOfDateError: a folder no longer has this release.
            RegistryError: the index failed.
        """


def release_of(tree: Tree, archive: Bytes, *, place: str = "") -> tuple[str, Release]:
    """Return the name and the release of a tree; ``place`` is what a message calls it.

    Raises:
        LayoutError: it is not a skill.
        DocumentError: its skill.yaml is invalid.
    """
    description = describe(tree, place=place)
    manifest = description.manifest
    return description.name, Release(
        version=description.version,
        archive=hashlib.sha256(archive).hexdigest(),
        tree=tree_digest(tree),
        size=len(archive),
        requires=manifest.requires if manifest else {},
        hooks=manifest.hooks if manifest else 1,
        summary=description.description[:1024],
        adapter=manifest.adapter if manifest else None,
    )


class TreeIndex:
    """A tree that is a skill.

    Args:
        name: the source in a lock: ``path:../skills/mine`` or ``bundled``.
        load: returns the present tree; may raise any SkillpmError.
        again: the argument of ``skillpm install`` that takes the present content, for a hint.
        asked: the source in a requirement, if it differs from the pinned source in a lock.
        remote: does loading need the network?

    Attributes:
        within: the folder of the skill, relative to the repository or the folder of many skills that was named.
        plugin: the plugin of a repository to which the skill belongs; empty if there is none.
    """

    made_here = True
    within = plugin = ""

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
        try:
            packed = self._packed()
        except IntegrityError:
            describe(self.tree, place=self.name)  # that it is no skill at all says more than that it cannot be packed
            raise
        return release_of(self.tree, packed, place=self.name)

    def _packed(self) -> Bytes:
        return build_archive(self.tree)

    @property
    def skill(self) -> str:
        """The name of the skill. Raises UsageError, LayoutError, DocumentError."""
        return self._content[0]

    @cached_property
    def report(self) -> Report:
        """What the check finds in the tree. Raises SkillpmError."""
        from skillpm.layout.check import check

        return check(self.tree, path=self.name, folder=None)

    def page(self, name: str) -> Page | None:
        """Return the one release; an owner before the name is chosen by whoever requires it. Raises SkillpmError."""
        skill, release = self._content
        return Page(name=name, releases=(release,)) if _bare(name) == skill else None

    def names(self) -> list[str]:
        """Return the one name."""
        return [self.skill]

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive of the present content. Raises LockOutOfDateError if it is not this release."""
        self.files(name, release)
        return self._packed()

    def files(self, name: str, release: Release) -> Tree:
        """Return the present files. Raises LockOutOfDateError if they are not this release."""
        skill, present = self._content
        if (_bare(name), release.tree) != (skill, present.tree):
            raise LockOutOfDateError(
                f"{self.name} no longer has {name} {release.version} with the locked content",
                hint=f"run `skillpm install {self._again}` to use its present content",
                locked=release.tree,
                found=present.tree,
            )
        return self.tree


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


class PathIndex(TreeIndex):
    """A skill's working folder, without what is left out of a package; see ``TreeIndex`` for the arguments."""

    def __init__(self, folder: Path, name: str, *, again: str = "") -> None:
        super().__init__(name, self._walked, again or str(folder))
        self.folder = folder

    def _walked(self) -> Tree:
        if not self.folder.is_dir():
            raise UsageError(
                f"{self.folder} is not a folder" if self.folder.exists() else f"there is no {self.folder}",
                hint="name a folder with a SKILL.md, or an archive; a name without `/` is looked up in registries",
            )
        return SourceTree(self.folder, keep=True)

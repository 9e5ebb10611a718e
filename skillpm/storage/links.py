"""Puts skills into agents' folders. A folder with foreign or edited content is never overwritten.

A placement is staged beside its place and swapped into it, so an agent sees the old skill or the new one. A folder is
ours to replace if the record has its digest, if the store has the same content (so nothing is lost), or if it is a link
into the store to a tree that nobody edited. No other link is followed or replaced, dangling or not. A folder that leads
out of the project through a link is refused, because the author of a project must not choose other places for us to
write to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.layout.tree import FolderTree
from skillpm.storage.files import storage_error
from skillpm.storage.record import KEPT, RECORD, LinkKind, Placement
from skillpm.storage.store import Store, folder_digest
from skillpm.storage.swap import TEMPORARY, Swap
from skillpm.storage.unpack import make_writable, remove_tree, unpack

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)  # a copy would fail like the link


class Occupant(Enum):
    """The present content of a skill's place."""

    NOTHING = "nothing"
    WANTED = "exactly what is wanted"
    OURS = "something that skillpm put there"
    FOREIGN = "something else"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in a skill's place: whose it is, and the digest of its tree, or None if it is not a tree."""

    occupant: Occupant
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A foreign or edited folder that made way: its place, and where its content is kept, both relative."""

    folder: str
    kept: str


class Places:
    """The agents' folders of one project, relative to ``root``.

    ``project`` has the record and backups; it is the root by default.
    """

    def __init__(self, root: Path, store: Store, project: Path | None = None) -> None:
        self._root = root
        self._store = store
        self._project = project or root
        self._whole: dict[str, bool] = {}
        self.backups: list[Backup] = []

    def path(self, placement: Placement) -> Path:
        """Return the path of a placement."""
        return self._root / placement.folder

    def standing(self, wanted: Placement, recorded: Placement | None) -> Standing:
        """Return the present content of the place of ``wanted``; ``recorded`` is its entry in the record.

        A link into the store is as good as the tree that it leads to: if that was edited, the content is not ours.
        """
        path = self._root / wanted.folder
        if path.is_symlink():
            digest = self._link_digest(path)
            if digest is None or not self._is_whole(digest):
                return Standing(Occupant.FOREIGN)
            is_wanted = (digest, "symlink") == (wanted.tree, wanted.link)
            return Standing(Occupant.WANTED if is_wanted else Occupant.OURS, digest)
        if not path.exists():
            return Standing(Occupant.NOTHING)
        digest = folder_digest(path) if path.is_dir() else None
        if digest is None:
            return Standing(Occupant.FOREIGN)
        if digest == wanted.tree:
            return Standing(Occupant.WANTED if wanted.link == "copy" else Occupant.OURS, digest)
        known = recorded is not None and recorded.tree == digest
        return Standing(Occupant.OURS if known or self._store.has(digest) else Occupant.FOREIGN, digest)

    def _is_whole(self, digest: str) -> bool:
        """Is a stored tree as it was, or gone, so that no edit can be lost?"""
        if digest not in self._whole:
            self._whole[digest] = not self._store.has(digest) or self._store.verify(digest)
        return self._whole[digest]

    def foreign(self, wanted: Placement, recorded: Placement | None) -> UsageError:
        """Return the error for a place with foreign content."""
        reason = "already exists and does not belong to skillpm"
        if recorded or self.linked(wanted) is not None:
            reason = "was edited after skillpm installed it"
        name = wanted.folder.rpartition("/")[2]
        return UsageError(
            f"{wanted.folder} {reason}",
            hint=f"move it, or add `--force` to keep it as {KEPT.as_posix()}/{name}",
            folder=wanted.folder,
        )

    def linked(self, placement: Placement) -> str | None:
        """Return the digest of the stored tree that a place is a link to, or None."""
        path = self._root / placement.folder
        return self._link_digest(path) if path.is_symlink() else None

    def keep_linked(self, placement: Placement) -> None:
        """Keep a copy of the edited stored tree that a place links to; the tree itself is about to be replaced.

        Raises:
            StorageError: the disk refused.
        """
        digest = self.linked(placement)
        if digest is None or self._is_whole(digest):
            return
        import shutil

        backup = self._free_name(placement.folder)
        try:
            backup.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self._store.path(digest), backup, symlinks=True)
        except (OSError, shutil.Error) as error:
            raise storage_error("keep", backup, error if isinstance(error, OSError) else OSError(str(error))) from None
        make_writable(backup)
        self._whole[digest] = True

    def name_backup(self, placement: Placement) -> None:
        """Note where the foreign content of a place would be kept, for a dry run."""
        digest = self.linked(placement)
        if digest is None or not self._is_whole(digest):
            self._free_name(placement.folder)

    def put(self, wanted: Placement, recorded: Placement | None, swap: Swap, *, force: bool = False) -> LinkKind:
        """Stage a stored skill for its place and return the kind of link; it is copied if the system refuses links.

        Raises:
            UsageError: there is foreign content, which only ``force`` keeps in ``.skillpm/kept``.
            StorageError: the disk refused.
        """
        occupant = self.standing(wanted, recorded).occupant
        if occupant is Occupant.WANTED:
            return wanted.link
        path, stored = self._root / wanted.folder, self._store.path(wanted.tree)
        keep = self._kept(wanted, recorded, force=force) if occupant is Occupant.FOREIGN else None
        return swap.stage(path, lambda fresh: _place(stored, fresh, wanted.link), keep=keep) or wanted.link

    def take(self, placed: Placement, swap: Swap, *, force: bool = False) -> None:
        """Stage the removal of a placement. An edited folder is refused, or kept with ``force``.

        Raises:
            UsageError: it was edited and ``force`` is not set.
        """
        path = self._root / placed.folder
        occupant = self.standing(placed, placed).occupant
        if occupant is not Occupant.NOTHING:
            keep = self._kept(placed, placed, force=force) if occupant is Occupant.FOREIGN else None
            swap.stage(path, None, keep=keep)

    def _kept(self, wanted: Placement, recorded: Placement | None, *, force: bool) -> Path | None:
        """Return the new name of a foreign folder, None if a link is all that goes; without ``force``, refuse it."""
        if not force:
            raise self.foreign(wanted, recorded)
        if self.linked(wanted) is None:
            return self._free_name(wanted.folder)
        self.keep_linked(wanted)
        return None

    def _free_name(self, folder: str) -> Path:
        """Return a free name in the project's folder of backups, where no agent looks for skills."""
        name = folder.rpartition("/")[2]
        names = (name if number == 1 else f"{name}-{number}" for number in range(1, 1000))
        taken = {backup.kept for backup in self.backups}
        for candidate in ((KEPT / name).as_posix() for name in names):
            if candidate not in taken and not os.path.lexists(self._project / candidate):
                self.backups.append(Backup(folder, candidate))
                return self._project / candidate
        raise UsageError(f"{KEPT.as_posix()} has 999 folders of {name} already", hint="move some of them")

    def leftovers(self, agents: Iterable[str]) -> list[Path]:
        """Return staged files in these agents' folders and beside the project's files, of killed or running runs."""
        return [
            path
            for folder in dict.fromkeys(
                (*(self._root / agent for agent in agents), self._project / RECORD.parent, self._project)
            )
            for path in folder.glob(f"{TEMPORARY}{'[0-9a-f]' * 16}")
        ]

    def remove_leftovers(self, agents: Iterable[str]) -> None:
        """Remove the staged files of killed runs; call it under the project's lock only."""
        for path in self.leftovers(agents):
            remove_tree(path)

    def _link_digest(self, path: Path) -> str | None:
        """Return the digest of the stored tree that a link leads to, or None."""
        target = path.readlink()
        return target.name if target.parent == self._store.path(target.name).resolve().parent else None


def _place(stored: Path, fresh: Path, link: LinkKind) -> LinkKind:
    """Make a link to a stored tree, or a copy if requested or if no link is allowed; return the kind."""
    if link == "symlink":
        try:
            fresh.symlink_to(stored.resolve(), target_is_directory=True)
        except OSError as error:
            if error.errno in _DISK:
                raise
        else:
            return "symlink"
    unpack(FolderTree(stored), fresh)
    return "copy"


def refuse_outside(project: Path, folders: Iterable[str]) -> None:
    """Raise UsageError if one of these folders leads out of the project through a link.

    A home folder belongs to the person, whose links to other disks are allowed.
    """
    root = project.resolve()
    if root == Path.home().resolve():
        return
    for folder in folders:
        real = _real_path(project / folder)
        if real is None or not real.is_relative_to(root):
            raise UsageError(
                f"{folder} leads out of the project through a link",
                hint="replace the link by a folder; nothing was written",
                folder=folder,
            )


def _real_path(path: Path) -> Path | None:
    """Return the real path, or None if a link leads to itself."""
    # Path.resolve() raises for such a link before Python 3.13 only, so the system is asked.
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
    return Path(os.path.realpath(path))

"""Puts skills into agents' folders. A folder that holds anything that we did not put there is never overwritten.

A placement is made beside its place and renamed or exchanged into it, so an agent sees the old skill or the new one.
Three things tell that a folder is ours to replace: the record knows its content, or the store holds that very content
(so nothing is lost), or it is a link into the store.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.layout.tree import FolderTree
from skillpm.storage.files import storage_error
from skillpm.storage.journal import Journal
from skillpm.storage.record import Placement
from skillpm.storage.store import Store, folder_digest
from skillpm.storage.unpack import remove_tree, unpack

__all__ = ["Occupant", "Places"]

_TEMPORARY = ".skillpm-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Occupant(Enum):
    """What is found where a skill shall be."""

    NOTHING = "nothing"
    WANTED = "exactly what is wanted"
    OURS = "something that skillpm put there"
    FOREIGN = "something else"


class Places:
    """The agents' folders of one project."""

    def __init__(self, project: Path, store: Store) -> None:
        self._project = project
        self._store = store

    def occupant(self, wanted: Placement, recorded: Placement | None) -> Occupant:
        """Say what stands in the place of ``wanted``; ``recorded`` is what the record knows of it."""
        path = self._project / wanted.folder
        if path.is_symlink():
            digest = self._link_digest(path)
            if digest is None:
                return Occupant.FOREIGN
            return Occupant.WANTED if (digest, wanted.link) == (wanted.tree, "symlink") else Occupant.OURS
        if not path.exists():
            return Occupant.NOTHING
        digest = folder_digest(path) if path.is_dir() else None
        if digest is None:
            return Occupant.FOREIGN
        if digest == wanted.tree:
            return Occupant.WANTED if wanted.link == "copy" else Occupant.OURS
        known = recorded is not None and recorded.tree == digest
        return Occupant.OURS if known or self._store.has(digest) else Occupant.FOREIGN

    def refuse_foreign(self, wanted: Placement, recorded: Placement | None) -> None:
        """Raise UsageError where the place holds something that is not ours."""
        if self.occupant(wanted, recorded) is not Occupant.FOREIGN:
            return
        reason = "was edited since skillpm put it there" if recorded else "is there already and is not skillpm's"
        name = wanted.folder.rpartition("/")[2]
        raise UsageError(
            f"{wanted.folder} {reason}",
            hint=f"move it away, or let `--force` keep it as {name}.orig",
            folder=wanted.folder,
        )

    def put(
        self, wanted: Placement, recorded: Placement | None, *, force: bool = False, journal: Journal | None = None
    ) -> bool:
        """Put a stored skill into its place; False where it stands there already.

        Args:
            wanted: the skill, its place and how.
            recorded: what the record knows of the place.
            force: keep what is not ours as ``.orig``.
            journal: what else is done or undone together with this.

        Raises:
            UsageError: something that is not ours is there and ``force`` is not set; with it, it is kept as ``.orig``.
            StorageError: the disk refused; the place is as it was.
        """
        occupant = self.occupant(wanted, recorded)
        if occupant is Occupant.WANTED:
            return False
        if occupant is Occupant.FOREIGN and not force:
            self.refuse_foreign(wanted, recorded)
        with Journal.within(journal) as done:
            self._put(wanted, occupant, done)
        return True

    def _put(self, wanted: Placement, occupant: Occupant, done: Journal) -> None:
        path = self._project / wanted.folder
        fresh = path.with_name(f"{_TEMPORARY}{os.urandom(8).hex()}")
        try:
            done.make_folder(path.parent)
            done.after(lambda: remove_tree(fresh))
            if wanted.link == "symlink":
                fresh.symlink_to(self._store.path(wanted.tree).resolve(), target_is_directory=True)
            else:
                unpack(FolderTree(self._store.path(wanted.tree)), fresh)
            if occupant is Occupant.FOREIGN:
                done.rename(path, _free_name(path))
            if occupant is Occupant.OURS and _exchange(fresh, path):
                done.undo(lambda: _exchange(fresh, path))
                return
            if occupant is Occupant.OURS:
                self._set_aside(path, done)
            done.rename(fresh, path)
        except OSError as error:
            raise storage_error("write", path, error) from None

    def take(self, placed: Placement, *, force: bool = False, journal: Journal | None = None) -> None:
        """Remove a placement; what was edited is refused, or kept as ``.orig`` with ``force``.

        Raises:
            UsageError: it was edited and ``force`` is not set.
            StorageError: the disk refused.
        """
        path = self._project / placed.folder
        occupant = self.occupant(placed, placed)
        if occupant is Occupant.NOTHING:
            return
        if occupant is Occupant.FOREIGN and not force:
            self.refuse_foreign(placed, placed)
        with Journal.within(journal) as done:
            try:
                if occupant is Occupant.FOREIGN:
                    done.rename(path, _free_name(path))
                else:
                    self._set_aside(path, done)
            except OSError as error:
                raise storage_error("remove", path, error) from None

    def _set_aside(self, path: Path, done: Journal) -> None:
        """Empty a place, and remove what stood there at the end. Raises OSError."""
        aside = path.with_name(f"{_TEMPORARY}{os.urandom(8).hex()}")
        done.after(lambda: remove_tree(aside))
        done.rename(path, aside)

    def remove_leftovers(self, folder: str) -> None:
        """Remove what killed runs left in one agent's folder; call it under the project's lock only."""
        for path in (self._project / folder).glob(f"{_TEMPORARY}*"):
            remove_tree(path)

    def _link_digest(self, path: Path) -> str | None:
        """Return the digest of the stored tree that a link leads to, None where it leads elsewhere."""
        target = path.readlink()
        return target.name if target.parent == self._store.path(target.name).resolve().parent else None


def _free_name(path: Path) -> Path:
    for number in range(1, 1000):
        candidate = path.with_name(f"{path.name}.orig{'' if number == 1 else number}")
        if not candidate.exists() and not candidate.is_symlink():
            return candidate
    raise FileExistsError(errno.EEXIST, "999 copies with .orig are there already", str(path))


@cache
def _renameat2() -> Any:
    """Return Linux's renameat2, or None; it can exchange two names in one step."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None


def _exchange(fresh: Path, path: Path) -> bool:
    """Swap two names in one step; False where the platform cannot, and nothing was done."""
    call = _renameat2()
    return call is not None and call(_AT_FDCWD, os.fsencode(fresh), _AT_FDCWD, os.fsencode(path), _RENAME_EXCHANGE) == 0

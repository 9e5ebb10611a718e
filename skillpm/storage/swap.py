"""Gives several folders new content: all or none, as far as a file system can.

First, all content is staged beside its place, so that a full disk, a missing right or a foreign folder stops the work
before anything changes. Then one flush makes the staged content durable. Then the names are exchanged one after the
other. A later failure exchanges them back. A killed process leaves each name with its old or its new content, and the
rest under names that begin with ``TEMPORARY``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from skillpm.storage.durable import flush
from skillpm.storage.files import DiskErrors, fsync_folder, kept_mode, write_new, written_through
from skillpm.storage.unpack import remove_tree

T = TypeVar("T")

TEMPORARY = ".skillpm-"  # the prefix of staged and of replaced content
_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2


@dataclass(frozen=True, slots=True)
class _Step:
    """One name.

    Attributes:
        beside: has the new content before the step, and the replaced content after it.
        staged: is there new content?
        keep: the new name of the old content; None removes it.
        over: did the name exist when this was staged? A name that appears later is not replaced.
    """

    path: Path
    beside: Path
    staged: bool
    keep: Path | None
    over: bool

    def do(self) -> None:
        # Three ways, because a rename does not replace a folder with content. If the old content stays, it is renamed
        # first, and its name is free. If it goes, both names are exchanged, so that ``path`` is never without content.
        # If there was none, the step fails on what appeared later, as it should: it is not ours.
        if self.keep is not None:
            _move(self.path, self.keep)
        try:
            if self.staged and self.over and self.keep is None:
                exchange(self.beside, self.path)
            elif self.staged:
                _move(self.beside, self.path)
            elif self.keep is None:
                _move(self.path, self.beside)
        except OSError:
            # a failed step must change nothing, because ``Swap`` undoes only the steps before it
            if self.keep is not None:
                _move(self.keep, self.path)
            raise

    def undo(self) -> None:
        if self.staged and self.over and self.keep is None:
            exchange(self.beside, self.path)
        elif self.staged:
            _move(self.path, self.beside)
        elif self.keep is None:
            _move(self.beside, self.path)
        if self.keep is not None:
            _move(self.keep, self.path)


class Swap:
    """New content for several names: ``commit`` puts it in place, and an error in the context takes it back."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._completed: list[_Step] = []
        self._folders: dict[Path, str] = {}
        self._new_folders: list[Path] = []
        self._places: set[str] = set()

    def __enter__(self) -> Swap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Undo, then clean up: ``beside`` has the old content after a commit, and the new content after an undo.
        # Cleaning up first would remove the content that the undo needs.
        if kind is not None:
            self._undo()
        for step in self._steps:
            remove_tree(step.beside)
        for folder in reversed(self._new_folders) if kind is not None else ():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def stage(self, path: Path, make: Callable[[Path], T] | None, *, keep: Path | None = None) -> T | None:
        """Prepare one name, and return the result of ``make``.

        If the name is staged already through another link, the first time counts, and the result is None.

        Args:
            path: the name.
            make: makes the new content at the path that it gets; None removes the name.
            keep: the new name of the old content; None removes it.

        Raises:
            StorageError: the disk refused.
        """
        # The folder's real path, because two agents may reach one folder through a link; but the name as it is, because
        # it may be a link itself, and then the link is replaced.
        place = f"{self._real(path.parent)}/{path.name}"
        if place in self._places:
            return None
        self._places.add(place)
        beside = path.with_name(f"{TEMPORARY}{os.urandom(8).hex()}")
        keep = self._reachable(path, keep) if keep is not None else None
        # noted before it is made, so that partial content on a full disk is removed too
        self._steps.append(_Step(path, beside, make is not None, keep, os.path.lexists(path)))
        if make is None:
            return None
        with DiskErrors("write", path, beside):
            return make(beside)

    def stage_file(self, path: Path, text: str) -> None:
        """Prepare a file with this text, unless it is unchanged; a linked file is written where it is.

        Raises:
            UsageError: the link leads to no file.
            StorageError: the disk refused.
        """
        path = written_through(path)
        with DiskErrors("write", path):
            if path.exists() and path.read_bytes() == text.encode():
                return
        self.stage(path, lambda beside: write_new(beside, text.encode(), mode=kept_mode(path)))

    def commit(self) -> None:
        """Flush the staged content, then put it in place; the old content stays until the context ends.

        Raises:
            StorageError: the disk refused.
        """
        path = Path()
        with DiskErrors("write", path):
            # Content before names: a file system may write a rename before the renamed data, and a power cut would then
            # leave the right name with an empty file. Links are skipped, because flushing one flushes its target. The
            # folders come last: otherwise a power cut may revert renames after the command has reported success.
            flush([step.beside for step in self._steps if step.staged and not step.beside.is_symlink()])
            for step in self._steps:
                path = step.path
                step.do()
                self._completed.append(step)
            for path in {step.path.parent for step in self._steps}:
                fsync_folder(path)

    def _reachable(self, path: Path, keep: Path) -> Path | None:
        """Make the folder of a kept name; copy the content there now if a rename cannot reach it."""
        self._real(keep.parent)
        with DiskErrors("keep", path):
            if path.lstat().st_dev == keep.parent.stat().st_dev:
                return keep
            import shutil

            is_folder = path.is_dir() and not path.is_symlink()
            shutil.copytree(path, keep, symlinks=True) if is_folder else shutil.copy2(path, keep, follow_symlinks=False)
        return None

    def _real(self, folder: Path) -> str:
        """Make a folder and return its real path."""
        if folder not in self._folders:
            with DiskErrors("write", folder):
                for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
                    missing.mkdir(exist_ok=True)
                    self._new_folders.append(missing)
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]

    def _undo(self) -> None:
        """Restore the old content, the last name first; a name that fails stays as it is."""
        while self._completed:
            with contextlib.suppress(OSError):
                self._completed.pop().undo()


def _move(path: Path, free: Path) -> None:
    """Rename a file, a link or a folder. Raises FileExistsError if the new name is taken."""
    call = _renameat2()
    if call is not None:
        if call(_AT_FDCWD, os.fsencode(path), _AT_FDCWD, os.fsencode(free), _RENAME_NOREPLACE) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):  # a file system without the flag
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(free))
    if os.path.lexists(free):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(free))
    path.rename(free)


def exchange(beside: Path, path: Path) -> None:
    """Exchange two names. If the platform cannot do it in one step, ``path`` is missing for a moment."""
    call = _renameat2()
    if call is not None and call(_AT_FDCWD, os.fsencode(beside), _AT_FDCWD, os.fsencode(path), _RENAME_EXCHANGE) == 0:
        return
    aside = beside.with_name(f"{TEMPORARY}{os.urandom(8).hex()}")
    path.rename(aside)
    try:
        beside.rename(path)
        try:
            aside.rename(beside)
        except OSError:
            path.rename(beside)
            raise
    except OSError:
        aside.rename(path)
        raise


@cache
def _renameat2() -> Any:
    """Return Linux's renameat2, or None; it exchanges two names in one step, and spares a name that is taken."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None

"""Gives several folders new content at once: all or none, as nearly as a file system can.

First everything is staged beside its place, so that a full disk, a missing right or a foreign folder ends the work
before anything has changed. Then what was staged is made durable, with one flush for all. Then names are exchanged, one
after the other. A failure while names are exchanged, or of whatever must succeed after them, exchanges them back. A
process that is killed leaves each name with its old or its new content, and the rest under names that begin with
``TEMPORARY``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from skillpm.storage.durable import flush
from skillpm.storage.files import fsync_folder, kept_mode, storage_error, write_new
from skillpm.storage.linking import link_kind
from skillpm.storage.unpack import remove_tree

T = TypeVar("T")

TEMPORARY = ".skillpm-"  # how the names of what is staged, and of what is about to go, begin
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True, slots=True)
class _Step:
    """One name.

    Attributes:
        path: the name.
        beside: holds the new content before the step, and what shall be removed after it.
        staged: is there new content?
        keep: where the old content stays; None where it is removed.
        over: did something stand there when this was staged? What appears later is not replaced.
    """

    path: Path
    beside: Path
    staged: bool
    keep: Path | None
    over: bool

    def do(self) -> None:
        # Three ways, because a rename does not replace a folder that holds something. Where the old content stays, it
        # is renamed first, and its name is free. Where it goes, both names are exchanged, so that ``path`` is never
        # without content. Where there was none, a plain rename fails on a folder that came since, as it should: it is
        # not ours.
        if self.keep is not None:
            self.path.rename(self.keep)
        try:
            if self.staged and self.over and self.keep is None:
                _exchange(self.beside, self.path)
            elif self.staged:
                self.beside.rename(self.path)
            elif self.keep is None:
                self.path.rename(self.beside)
        except OSError:
            # a step that fails has done nothing: ``Swap`` undoes only those before it
            if self.keep is not None:
                self.keep.rename(self.path)
            raise

    def undo(self) -> None:
        if self.staged and self.over and self.keep is None:
            _exchange(self.beside, self.path)
        elif self.staged:
            self.path.rename(self.beside)
        elif self.keep is None:
            self.beside.rename(self.path)
        if self.keep is not None:
            self.keep.rename(self.path)


class Swap:
    """New content for some names, put there by ``commit`` and taken back where the context ends with an error."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._done: list[_Step] = []
        self._folders: dict[Path, str] = {}
        self._made: list[Path] = []
        self._places: set[str] = set()

    def __enter__(self) -> Swap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Undo, then clean up: what lies beside a name is the old content after a commit, and the new one after an undo.
        # Cleaning up first would remove what the undo needs.
        if kind is not None:
            self._undo()
        for step in self._steps:
            remove_tree(step.beside)
        for folder in reversed(self._made) if kind is not None else ():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def stage(self, path: Path, make: Callable[[Path], T] | None, *, keep: Path | None = None) -> T | None:
        """Prepare one name, and return what ``make`` does.

        Where the name is staged already, reached through another link, the first time counts, and None is returned.

        Args:
            path: the name.
            make: makes the new content under the name that it is given; None where the name shall be gone.
            keep: the name under which the old content stays; it is removed where None.

        Raises:
            StorageError: the disk refused.
        """
        # The folder by its real path, for two clients may reach one folder through a link; the name as it is, for it
        # may be a link itself, and then the link is what is replaced.
        place = f"{self._real(path.parent)}/{path.name}"
        if place in self._places:
            return None
        self._places.add(place)
        beside = path.with_name(f"{TEMPORARY}{os.urandom(8).hex()}")
        # noted before it is made, so that the half of it that a full disk leaves is removed as well
        self._steps.append(_Step(path, beside, make is not None, keep, os.path.lexists(path)))
        if make is None:
            return None
        try:
            return make(beside)
        except OSError as error:
            raise storage_error("write", path, error) from None

    def stage_file(self, path: Path, text: str) -> None:
        """Prepare a file of this text, unless it has it already. Raises StorageError."""
        try:
            if path.exists() and path.read_bytes() == text.encode():
                return
        except OSError as error:
            raise storage_error("write", path, error) from None
        self.stage(path, lambda beside: write_new(beside, text.encode(), mode=kept_mode(path)))

    def commit(self) -> None:
        """Make durable what was staged, then give every name its new content; the old is kept until the context ends.

        Raises:
            StorageError: the disk refused.
        """
        path = Path()
        try:
            # Content before names: a file system may write a rename before the data that it names, and a power cut
            # then leaves the right name with an empty file. Links are left out, for to flush one flushes its target.
            # The folders come last: without that a power cut may take the renames back that the command has reported.
            flush([step.beside for step in self._steps if step.staged and link_kind(step.beside) is None])
            for step in self._steps:
                path = step.path
                step.do()
                self._done.append(step)
            for path in {step.path.parent for step in self._steps}:
                fsync_folder(path)
        except OSError as error:
            raise storage_error("write", path, error) from None

    def _real(self, folder: Path) -> str:
        """Make a folder and return where it truly is."""
        if folder not in self._folders:
            try:
                for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
                    missing.mkdir(exist_ok=True)
                    self._made.append(missing)
            except OSError as error:
                raise storage_error("write", folder, error) from None
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]

    def _undo(self) -> None:
        """Give the names their old content back, the last first; one that cannot be given back stays as it is."""
        while self._done:
            with contextlib.suppress(OSError):
                self._done.pop().undo()


def _exchange(beside: Path, path: Path) -> None:
    """Swap two names; where the platform cannot do it in one step, ``path`` stands for nothing for a moment."""
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
    """Return Linux's renameat2, or None; it can exchange two names in one step."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None

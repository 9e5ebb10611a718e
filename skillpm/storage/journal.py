"""Several changes of the disk that are made together or not at all, as far as one process can promise it.

Each change says how it is undone. Where the block of a journal ends with an error, or is interrupted, the changes are
undone in reverse order; in either case what was only needed for a way back is cleared away last. A killed process
undoes nothing: what it leaves must be such that the next run completes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from skillpm.errors import SkillpmError
from skillpm.storage.files import storage_error, write_atomic

__all__ = ["Journal"]


class Journal:
    """A context manager that remembers how to undo."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._after: list[Callable[[], object]] = []

    @classmethod
    def within(cls, journal: Journal | None) -> contextlib.AbstractContextManager[Journal]:
        """Return the journal of a larger change, which ends later, or one of our own."""
        return cls() if journal is None else contextlib.nullcontext(journal)

    def undo(self, action: Callable[[], object]) -> None:
        """Remember what undoes the change that was just made, or that may have been made."""
        self._undo.append(action)

    def after(self, action: Callable[[], object]) -> None:
        """Remember what to do at the end, however it ends."""
        self._after.append(action)

    def rename(self, before: Path, after: Path) -> None:
        """Rename. Raises OSError."""
        before.rename(after)
        self.undo(lambda: after.rename(before))

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it that are missing. Raises OSError."""
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self.undo(path.rmdir)

    def write(self, path: Path, text: str) -> None:
        """Write a file where its text has changed. Raises StorageError."""
        try:
            before = path.read_bytes() if path.exists() else None
            if before == text.encode():
                return
            self.make_folder(path.parent)
        except OSError as error:
            raise storage_error("write", path, error) from None
        self.undo(lambda: path.unlink(missing_ok=True) if before is None else write_atomic(path, before))
        write_atomic(path, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            for action in reversed(self._undo):
                with contextlib.suppress(OSError, SkillpmError):
                    action()
        for action in self._after:
            with contextlib.suppress(OSError):
                action()

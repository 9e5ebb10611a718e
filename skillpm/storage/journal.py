"""Several changes of the disk that are made together or not at all, as far as one process can promise it.

Each change says how it is undone. Where the block of a journal ends with an error, or is interrupted, the changes are
undone in reverse order, and what was only needed for a way back is cleared away; where it ends well, only the latter. A
killed process undoes nothing: what it leaves must be such that the next run completes it.
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
        self._steps: list[tuple[Callable[[], object], bool]] = []  # an action, and is it for a good end too?

    @classmethod
    def within(cls, journal: Journal | None) -> contextlib.AbstractContextManager[Journal]:
        """Return the journal of a larger change, which ends later, or one of our own."""
        return cls() if journal is None else contextlib.nullcontext(journal)

    def undo(self, action: Callable[[], object]) -> None:
        """Remember what undoes the change that was just made, or that may have been made."""
        self._steps.append((action, False))

    def after(self, action: Callable[[], object]) -> None:
        """Remember what to do at the end, however it ends; after a failure once the later changes are undone."""
        self._steps.append((action, True))

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
        for action, always in reversed(self._steps):
            if always or kind is not None:
                with contextlib.suppress(OSError, SkillpmError):
                    action()

"""A folder that many processes and users write at once: each file appears whole, with the rights of the folder.

New content is written below ``tmp/`` and renamed. So a killed writer leaves nothing but an entry there, which another
writer removes a day later. Two writers may make the same folder: while it is empty, the second replaces the first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from skillpm.errors import StorageError
from skillpm.formats.gathered import Bytes
from skillpm.storage.durable import flush
from skillpm.storage.files import DiskErrors, fsync_folder, write_atomic, write_new
from skillpm.storage.unpack import remove_tree

_TRIES = 100  # another process may remove a new folder; each process can do so once
_ABANDONED = 24 * 3600.0  # seconds after which no process uses an entry of tmp/


class SharedFolder:
    """The files below ``root``."""

    root: Path

    def write(self, path: str, data: Bytes | str, *, durable: bool = True) -> None:
        """Write one file at once; if not durable, the caller flushes it. Raises StorageError."""
        target = self.root / path
        with DiskErrors("write", target):
            self._in_folder(target.parent, lambda: self._write(target, data, durable=durable), durable=durable)

    def prepared(self, path: str, data: bytes | str) -> Callable[[], None]:
        """Write a draft; return what puts it into its place. The caller flushes both.

        Both raise StorageError. A draft that never gets its place is removed with the other old entries of tmp/.
        """
        target, draft = self.root / path, self._scratch() / os.urandom(8).hex()
        self._draft(draft, data.encode() if isinstance(data, str) else data)
        return lambda: self._put(draft, target)

    def _draft(self, draft: Path, data: bytes) -> None:
        with DiskErrors("write", draft):
            write_new(draft, data, mode=self._mode() & 0o666)

    def _put(self, draft: Path, target: Path) -> None:
        with DiskErrors("write", target):
            self._in_folder(target.parent, lambda: draft.replace(target))

    def _write(self, target: Path, data: Bytes | str, *, durable: bool = True) -> None:
        write_atomic(target, data, mode=self._mode() & 0o666, scratch=self._scratch(), durable=durable)

    def flush(self) -> None:
        """Flush everything to the disk. Raises StorageError."""
        with DiskErrors("flush", self.root):
            flush([self.root])

    def _has(self, path: str, data: bytes) -> bool:
        try:
            return (self.root / path).read_bytes() == data
        except OSError:
            return False

    def _mode(self) -> int:
        return self.root.stat().st_mode & 0o7777

    def _scratch(self) -> Path:
        folder = self.root / "tmp"
        if not folder.is_dir():
            self.root.mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
            with contextlib.suppress(PermissionError):  # another user made it at the same moment
                folder.chmod(self._mode())
        return folder

    def _in_folder(self, folder: Path, act: Callable[[], object], *, durable: bool = True) -> None:
        """Make a folder and act in it; try again if another process replaces the empty folder by its own."""
        for tries_left in reversed(range(_TRIES)):
            self._make_folder(folder, durable=durable)
            try:
                act()
            except (FileNotFoundError, StorageError) as error:
                number = error.errno if isinstance(error, OSError) else error.details.get("errno")
                if number != errno.ENOENT or not tries_left:
                    raise
            else:
                return

    def _make_folder(self, folder: Path, *, durable: bool) -> None:
        """Make a folder and its parents; each appears with the rights of ``root``."""
        if folder.is_dir():
            return
        fresh = self._scratch() / os.urandom(8).hex()
        fresh.mkdir()
        fresh.chmod(self._mode())
        try:
            self._in_folder(folder.parent, lambda: fresh.rename(folder), durable=durable)
            if durable:
                fsync_folder(folder.parent)
        except OSError as error:
            remove_tree(fresh)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _remove_abandoned(self) -> None:
        """Remove old entries of killed writers from tmp/; a recent entry may be in use."""
        oldest = time.time() - _ABANDONED
        with contextlib.suppress(OSError), os.scandir(self.root / "tmp") as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    remove_tree(Path(entry.path))

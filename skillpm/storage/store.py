"""The content-addressed store: ``tree-v1/<digest>/`` has exactly the files of the tree with that digest.

All projects and versions of skillpm share it, and it only grows, except for cleaning. Its files and folders are
read-only, because agents' folders may link to them: an edit behind such a link would be an edit of every project.
An entry is written under ``tmp/`` and renamed into place. So a killed run leaves only a folder in ``tmp/``, which the
next exclusive writer removes. Writers hold the shared lock; cleaning holds the exclusive lock. Every user compares an
entry with its digest, so an entry that a power cut damaged is detected and written again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import BusyError, StorageError
from skillpm.layout.tree import FolderTree, Tree, tree_digest
from skillpm.storage.durable import flush
from skillpm.storage.files import DiskErrors, fsync_folder, storage_error
from skillpm.storage.process_lock import WAIT, ProcessLock, locked
from skillpm.storage.unpack import remove_tree, unpack

FETCH_AGAIN = "run `skillpm install` to fetch it again"  # the hint where an entry is missing or damaged
_BRINGING = "bringing"  # files that are locked while an entry is fetched
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def folder_digest(folder: Path, *, exact: bool = False) -> str | None:
    """Return the digest of a folder; None if it is missing, unreadable, or has entries that no skill may have.

    With ``exact``, it is None also if the folder has files that no digest counts, such as caches.
    """
    tree = FolderTree(folder)
    try:
        return None if tree.irregular() or (exact and tree.uncounted()) else tree_digest(tree)
    except (StorageError, UnicodeEncodeError):
        return None


class Store:
    """Unpacked trees by digest.

    Attributes:
        trees: the folder of all entries.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trees = root / "tree-v1"
        self._writing = False
        self._added: list[Path] = []

    def path(self, digest: str) -> Path:
        """Return the folder of a digest, which may not exist."""
        return self.trees / digest

    def has(self, digest: str) -> bool:
        """Is there an entry, whole or damaged?"""
        return self.path(digest).is_dir()

    def verify(self, digest: str) -> bool:
        """Is there an entry with exactly this content?"""
        folder = self.path(digest)
        return folder.is_dir() and folder_digest(folder) == digest

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store for several ``add``, so that no clean-up removes needed entries.

        Leftovers of killed runs are removed first, and new entries are flushed last.

        Raises:
            StorageError: the store cannot be written.
            BusyError: another process is cleaning the store and does not end.
        """
        if self._writing:
            yield
            return
        lock = ProcessLock(self.root / "lock")
        try:
            if lock.try_exclusive():
                self._remove_leftovers()
            lock.shared()
            self._writing = True
            yield
            self.flush()
        finally:
            self._writing = False
            self._added.clear()
            lock.close()

    def add(self, tree: Tree) -> Path:
        """Store a tree and return its folder; a damaged entry is replaced. Raises StorageError."""
        digest = tree_digest(tree)
        folder = self.path(digest)
        if self.verify(digest):
            return folder
        with self.writing():
            temporary = self.root / "tmp" / os.urandom(8).hex()
            unpack(tree, temporary, read_only=True)
            self._publish(temporary, digest)
            self._added.append(folder)
        return folder

    @contextlib.contextmanager
    def bringing(self, digest: str) -> Iterator[bool]:
        """Hold the lock for fetching an entry, so that only one of several processes downloads it.

        Yields whether the entry is still missing. A process that waits too long fetches it too, which is harmless. The
        lock's file may be removed while others wait; each of them checks for the entry when it has the lock.

        Raises:
            StorageError: the store cannot be written.
        """
        lock = ProcessLock(self.root / _BRINGING / digest)
        try:
            with contextlib.suppress(BusyError):
                lock.exclusive()
            yield not self.verify(digest)
        finally:
            with contextlib.suppress(OSError):
                lock.path.unlink(missing_ok=True)
            lock.close()

    def digests(self) -> list[str]:
        """Return the digests of all entries, whole or damaged."""
        folders = self.trees.iterdir() if self.trees.is_dir() else ()
        return sorted(path.name for path in folders if _DIGEST.match(path.name))

    @contextlib.contextmanager
    def cleaning(self, wait: float = WAIT) -> Iterator[None]:
        """Hold the store exclusively, to remove entries; leftovers of killed runs are removed first.

        Raises:
            StorageError: the store cannot be written.
            BusyError: writers have held it for ``wait`` seconds.
        """
        with locked(self.root / "lock", wait):
            self._remove_leftovers()
            yield

    def remove(self, digest: str) -> None:
        """Remove an entry in one step, so that a killed clean-up leaves no partial entry; call it while cleaning.

        Raises:
            StorageError: the disk refused.
        """
        with DiskErrors("remove", self.path(digest)):
            (self.root / "tmp").mkdir(exist_ok=True)
            self._set_aside(self.path(digest))

    def _publish(self, temporary: Path, digest: str) -> None:
        """Rename into place. If another process is first, its entry stays."""
        target = self.path(digest)
        try:
            if not self._added:
                self.trees.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    temporary.rename(target)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    if self.verify(digest):
                        return
                    self._set_aside(target)
                else:
                    target.chmod(0o555)  # not earlier: a folder that is read-only is not moved to another one
                    return
        except OSError as error:
            raise storage_error("write", target, error) from None
        finally:
            remove_tree(temporary)

    def flush(self) -> None:
        """Flush added entries to the disk before a file that names them is written. Raises StorageError."""
        if not self._added:
            return
        with DiskErrors("write", self.trees):
            flush(self._added)
            fsync_folder(self.trees)
            self._added.clear()

    def _set_aside(self, damaged: Path) -> None:
        aside = self.root / "tmp" / os.urandom(8).hex()
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            damaged.chmod(0o755)
            damaged.rename(aside)
        remove_tree(aside)

    def _remove_leftovers(self) -> None:
        for folder in (self.root / "tmp", self.root / _BRINGING):
            for path in folder.iterdir() if folder.is_dir() else ():
                remove_tree(path)

"""The content-addressed store: ``tree-v1/<digest>/`` holds exactly the files of the tree with that digest.

Append-only and shared by all projects and versions of skillpm. An entry is written under ``tmp/`` and renamed into
place, so a killed run leaves nothing but a folder in ``tmp/``, which the next writer that is alone removes. Writers
hold the shared lock; only cleaning needs the store alone. An entry that a power cut has emptied is found by whoever
uses it, since all compare it with its digest, and is written anew.
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
from skillpm.storage.files import fsync_folder, storage_error
from skillpm.storage.process_lock import WAIT, ProcessLock
from skillpm.storage.unpack import remove_tree, unpack

_BRINGING = "bringing"  # files that are locked while an entry is fetched
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def folder_digest(folder: Path, *, exact: bool = False) -> str | None:
    """Return the digest of a folder; None where it is missing, unreadable, or holds what no skill may hold.

    Args:
        folder: the root of a tree.
        exact: return None also where it holds files that no digest counts, such as caches.
    """
    tree = FolderTree(folder)
    try:
        return None if tree.irregular() or (exact and tree.uncounted()) else tree_digest(tree)
    except (StorageError, UnicodeEncodeError):
        return None


class Store:
    """Unpacked trees by digest, what users call the local registry."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trees = root / "tree-v1"
        self._writing = False
        self._added: list[Path] = []

    @property
    def trees(self) -> Path:
        """The folder of all entries."""
        return self._trees

    def path(self, digest: str) -> Path:
        """Return where the tree of this digest is, or would be."""
        return self._trees / digest

    def has(self, digest: str) -> bool:
        """Is there an entry, whole or damaged?"""
        return self.path(digest).is_dir()

    def verify(self, digest: str) -> bool:
        """Is there an entry with exactly this content?"""
        folder = self.path(digest)
        return folder.is_dir() and folder_digest(folder) == digest

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store for several ``add``, and keep cleaners away from what is counted on.

        What killed runs left is removed first, all is made durable last.

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
            lock.release()

    def add(self, tree: Tree) -> Path:
        """Store a tree and return its folder; a damaged entry of that digest is replaced.

        Raises:
            StorageError: the disk refused.
        """
        digest = tree_digest(tree)
        folder = self.path(digest)
        if self.verify(digest):
            return folder
        with self.writing():
            temporary = self.root / "tmp" / os.urandom(8).hex()
            unpack(tree, temporary)
            self._publish(temporary, digest)
            self._added.append(folder)
        return folder

    @contextlib.contextmanager
    def bringing(self, digest: str) -> Iterator[bool]:
        """Have the fetching of an entry to oneself, so that of all who want it at once one downloads it.

        Yields whether it is still to be fetched. Who waits for too long fetches as well, which does no harm. The file
        that is locked may go while others wait for it: once they have it, they look whether the entry is there.

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
            lock.release()

    def digests(self) -> list[str]:
        """Return the digests of all entries, whole or damaged."""
        folder = self.root / "tree-v1"
        return sorted(path.name for path in folder.iterdir() if _DIGEST.match(path.name)) if folder.is_dir() else []

    @contextlib.contextmanager
    def cleaning(self, wait: float = WAIT) -> Iterator[None]:
        """Hold the store alone, to remove entries from it; what killed runs left is removed first.

        Raises:
            StorageError: the store cannot be written.
            BusyError: writers have held it for ``wait`` seconds.
        """
        lock = ProcessLock(self.root / "lock")
        try:
            lock.exclusive(wait)
            self._remove_leftovers()
            yield
        finally:
            lock.release()

    def remove(self, digest: str) -> None:
        """Remove an entry in one step, so that a killed clean-up leaves no half of one; call it while cleaning.

        Raises:
            StorageError: the disk refused.
        """
        try:
            (self.root / "tmp").mkdir(exist_ok=True)
            self._set_aside(self.path(digest))
        except OSError as error:
            raise storage_error("remove", self.path(digest), error) from None

    def _publish(self, temporary: Path, digest: str) -> None:
        """Rename into place; another process may be doing the same, and wins if it is first."""
        target = self.path(digest)
        try:
            if not self._added:
                self._trees.mkdir(parents=True, exist_ok=True)
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
                    return
        except OSError as error:
            raise storage_error("write", target, error) from None
        finally:
            remove_tree(temporary)

    def flush(self) -> None:
        """Make what was added durable, before anything is written that counts on it. Raises StorageError."""
        if not self._added:
            return
        try:
            flush(self._added)
            fsync_folder(self._trees)
            self._added.clear()
        except OSError as error:
            raise storage_error("write", self._trees, error) from None

    def _set_aside(self, damaged: Path) -> None:
        aside = self.root / "tmp" / os.urandom(8).hex()
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            damaged.rename(aside)
        remove_tree(aside)

    def _remove_leftovers(self) -> None:
        for folder in (self.root / "tmp", self.root / _BRINGING):
            for path in folder.iterdir() if folder.is_dir() else ():
                remove_tree(path)

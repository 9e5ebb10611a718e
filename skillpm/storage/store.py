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
from collections.abc import Iterator
from pathlib import Path

from skillpm.errors import StorageError
from skillpm.layout.tree import FolderTree, Tree, tree_digest
from skillpm.storage.durable import flush
from skillpm.storage.files import fsync_folder, storage_error
from skillpm.storage.process_lock import ProcessLock
from skillpm.storage.unpack import remove_tree, unpack

__all__ = ["Store", "folder_digest"]


def folder_digest(folder: Path) -> str | None:
    """Return the digest of a folder; None where it is missing, unreadable, or holds what no skill may hold."""
    tree = FolderTree(folder)
    try:
        return None if tree.irregular() else tree_digest(tree)
    except (StorageError, UnicodeEncodeError):
        return None


class Store:
    """Unpacked trees by digest, what users call the local registry."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trees = root / "tree-v1"
        self._writing = False
        self._added: list[Path] = []

    def path(self, digest: str) -> Path:
        """Return where the tree of this digest is, or would be."""
        return self._trees / digest

    def has(self, digest: str) -> bool:
        """Is there an entry, whole or damaged?"""
        return self.path(digest).is_dir()

    def verify(self, digest: str) -> bool:
        """Is there an entry with exactly this content?"""
        return self.has(digest) and folder_digest(self.path(digest)) == digest

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store for several ``add``: what killed runs left is removed first, all is made durable last.

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
            self._flush()
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
        if self.verify(digest):
            return self.path(digest)
        with self.writing():
            temporary = self.root / "tmp" / os.urandom(8).hex()
            unpack(tree, temporary)
            self._publish(temporary, digest)
            self._added.append(self.path(digest))
        return self.path(digest)

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

    def _flush(self) -> None:
        if not self._added:
            return
        try:
            flush(self._added)
            fsync_folder(self._trees)
        except OSError as error:
            raise storage_error("write", self._trees, error) from None

    def _set_aside(self, damaged: Path) -> None:
        aside = self.root / "tmp" / os.urandom(8).hex()
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            damaged.rename(aside)
        remove_tree(aside)

    def _remove_leftovers(self) -> None:
        temporary = self.root / "tmp"
        for path in temporary.iterdir() if temporary.is_dir() else ():
            remove_tree(path)

"""Writes a checked tree into a fresh folder. No file is ever opened that is there already, no link is followed."""

from __future__ import annotations

import os
from pathlib import Path

from skillpm.layout.tree import Tree
from skillpm.storage.files import storage_error
from skillpm.storage.linking import link_kind

__all__ = ["remove_tree", "unpack"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def unpack(tree: Tree, folder: Path) -> None:
    """Make ``folder`` and write the tree's files below it; ``storage.durable`` makes them outlast a power cut.

    Raises:
        StorageError: the disk refused; what was written so far is removed.
    """
    path = ""
    try:
        folder.mkdir(parents=True)
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            made = {""}
            for path in tree.paths():
                _make_parents(root, path.rpartition("/")[0], made)
                descriptor = os.open(path, _FLAGS, 0o755 if tree.executable(path) else 0o644, dir_fd=root)
                try:
                    _write_all(descriptor, tree.read(path))
                finally:
                    os.close(descriptor)
        finally:
            os.close(root)
    except OSError as error:
        remove_tree(folder)
        raise storage_error("write", folder / path, error) from None


def _make_parents(root: int, folder: str, made: set[str]) -> None:
    if folder not in made:
        _make_parents(root, folder.rpartition("/")[0], made)
        os.mkdir(folder, dir_fd=root)
        made.add(folder)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def remove_tree(path: Path) -> None:
    """Remove a folder, a link or a file, never following links; what cannot be removed stays for the next clean-up."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder: EISDIR, or EPERM where POSIX is followed to the letter
        import shutil

        if link_kind(path) is not None:
            path.rmdir()  # takes a junction away, not what it leads to
            return
        shutil.rmtree(path, ignore_errors=True)

"""Writes a checked tree into a fresh folder. No file is ever opened that is there already, no link is followed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from skillpm.layout.tree import Tree
from skillpm.storage.files import storage_error
from skillpm.storage.linking import link_kind

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def unpack(tree: Tree, folder: Path) -> None:
    """Make ``folder`` and write the tree's files below it; ``storage.durable`` makes them outlast a power cut.

    Raises:
        StorageError: the disk refused; what was written so far is removed.
    """
    path = ""
    try:
        folder.mkdir(parents=True)
        with _opened(folder) as (root, prefix):
            folders = {prefix}
            for path in tree.paths():
                place = prefix + path
                _make_parents(root, place[: place.rfind("/") + 1], folders)
                descriptor = os.open(place, _FLAGS, 0o755 if tree.executable(path) else 0o644, dir_fd=root)
                try:
                    _write_all(descriptor, tree.read(path))
                finally:
                    os.close(descriptor)
    except OSError as error:
        remove_tree(folder)
        raise storage_error("write", folder / path, error) from None


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[tuple[int | None, str]]:
    """Give what paths are relative to: an open folder, or, where the platform cannot do that, a beginning of paths."""
    if os.open not in os.supports_dir_fd:
        yield None, f"{folder}/"
        return
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield root, ""
    finally:
        os.close(root)


def _make_parents(root: int | None, folder: str, folders: set[str]) -> None:
    """Make a folder, written with a slash at its end, and those above it that were not made."""
    if folder not in folders:
        _make_parents(root, folder[: folder.rfind("/", 0, -1) + 1], folders)
        os.mkdir(folder, dir_fd=root)
        folders.add(folder)


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

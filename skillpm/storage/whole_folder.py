"""Folders of results that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.storage.files import DiskErrors, fsync_folder, opened
from skillpm.storage.process_lock import try_lock
from skillpm.storage.swap import TEMPORARY, exchange
from skillpm.storage.unpack import remove_tree


@contextmanager
def whole_folder(path: Path, option: str = "--output", *, over: bool = False) -> Iterator[Path]:
    """Yield a folder to write into. It gets its name if the block succeeds, and is removed if it fails.

    What a killed process has left of it is removed first.

    Args:
        path: the folder.
        option: the one that names it.
        over: take the place of a folder that is there, in one step.

    Raises:
        UsageError: the path exists already, is the working folder, or another command has written it meanwhile.
        StorageError: the disk refused.
    """
    refuse_working_folder(path, option)
    if not over:
        _refuse_taken(path, option)
    with DiskErrors("make", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        folder, mine = _new_folder(path)
    try:
        with DiskErrors("write", path, folder):
            yield folder
            folder.chmod(0o755)
            if not over:
                _refuse_taken(path, option)  # by another command, meanwhile
            if over and path.exists():
                exchange(folder, path)
            else:
                folder.replace(path)
            fsync_folder(path.parent)
    finally:
        os.close(mine)
        remove_tree(folder)


def _remove_leftovers(path: Path) -> None:
    """Remove the folders of processes that were killed: nobody has their locks."""
    for left in path.parent.glob(f".{escape(path.name)}{TEMPORARY}*"):
        # another process was faster, it is no folder, or there are no locks
        with suppress(OSError), opened(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as descriptor:
            if try_lock(descriptor, alone=True):
                remove_tree(left)


def _new_folder(path: Path) -> tuple[Path, int]:
    """Make a folder, and open and lock it: before it is locked, another process may remove it as a leftover."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{TEMPORARY}"))
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            is_mine = True
            with suppress(OSError):  # without locks, nobody removes it
                is_mine = try_lock(descriptor, alone=True)
            if is_mine and folder.exists():
                return folder, descriptor
            os.close(descriptor)


def refuse_working_folder(path: Path, option: str = "--output") -> None:
    """Refuse to put another folder in the place of one that the person is in. Raises UsageError."""
    if Path(os.path.realpath(".")).is_relative_to(os.path.realpath(path)):
        raise UsageError(f"{path} is or holds the folder that you are in", hint=f"choose another `{option}`")


def _refuse_taken(path: Path, option: str) -> None:
    if path.is_symlink() or (path.exists() and not _is_empty_folder(path)):
        raise UsageError(f"{path} exists already", hint=f"choose another `{option}`, or move it")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None

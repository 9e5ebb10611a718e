"""Writes a checked tree into a new folder. It never opens an existing file and never follows a link."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from skillpm.layout.tree import Tree
from skillpm.storage.files import opened, storage_error

_FOLDER_MODE = 0o775  # without the umask; never writable by everybody
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def unpack(tree: Tree, folder: Path, *, read_only: bool = False) -> None:
    """Make ``folder`` and write the tree's files into it; ``storage.durable`` flushes them.

    With ``read_only``, nobody may write the files and the folders, except ``folder`` itself, which must still be
    renamed.

    Raises:
        StorageError: the disk refused; the folder is removed again.
    """
    path, bits = "", 0o555 if read_only else 0o755
    try:
        folder.mkdir(_FOLDER_MODE, parents=True)
        # what is written below it stays in it, whatever becomes of its name
        with opened(folder, os.O_RDONLY | os.O_DIRECTORY) as root:
            folders = {""}
            for path in tree.paths():
                _make_parents(root, path[: path.rfind("/") + 1], folders)
                descriptor = os.open(path, _FLAGS, bits & (0o777 if tree.executable(path) else 0o666), dir_fd=root)
                try:
                    for piece in tree.pieces(path):
                        _write_all(descriptor, piece)
                finally:
                    os.close(descriptor)
            for inner in folders - {""} if read_only else ():
                os.chmod(inner, bits, dir_fd=root)
    except OSError as error:
        remove_tree(folder)
        raise storage_error("write", folder / path, error) from None


def _make_parents(root: int, folder: str, folders: set[str]) -> None:
    """Make a folder, which ends with a slash, and its missing parents."""
    if folder not in folders:
        _make_parents(root, folder[: folder.rfind("/", 0, -1) + 1], folders)
        os.mkdir(folder, _FOLDER_MODE, dir_fd=root)
        folders.add(folder)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def remove_tree(path: Path) -> None:
    """Remove a folder, a link or a file without following links; what fails stays for the next clean-up."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder: EISDIR, or EPERM on strict POSIX systems
        import shutil

        with contextlib.suppress(RecursionError):
            shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            _remove_stubborn(path)


def _remove_stubborn(path: Path) -> None:
    """Remove folders that their owner may not write, and those nested deeper than a recursion or a path reaches.

    The store's trees are of the first kind, and skill code can leave both. Each folder is moved up to ``path`` before
    it is looked into, so that no path grows.
    """
    folders = [path]
    while folders:
        folder = folders.pop()
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
            with os.scandir(folder) as entries:
                inner = [Path(entry.path) for entry in entries]
            for place in inner:
                if place.is_dir() and not place.is_symlink():
                    folders.append(place if folder == path else place.rename(path / f".{os.urandom(8).hex()}"))
                else:
                    remove_tree(place)
            if folder != path:
                folder.rmdir()
    with contextlib.suppress(OSError):
        path.rmdir()


def make_writable(folder: Path) -> None:
    """Let the owner write a folder and what is in it, without following links; what fails stays as it is."""
    with contextlib.suppress(OSError):
        folder.chmod(0o755)
        for place, folders, files in os.walk(folder):
            for path in (Path(place, name) for name in (*folders, *files)):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | 0o200 | (0o100 if path.is_dir() else 0))

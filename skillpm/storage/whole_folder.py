"""Folders of results that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.storage.files import DiskErrors
from skillpm.storage.unpack import remove_tree


@contextmanager
def whole_folder(path: Path, option: str = "--output") -> Iterator[Path]:
    """Yield a folder to write into. It gets its name if the block succeeds, and is removed if it fails.

    The option is the one that names the folder.

    Raises:
        UsageError: the path exists already, or another command has written it meanwhile.
        StorageError: the disk refused.
    """
    _refuse_taken(path, option)
    with DiskErrors("make", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        with DiskErrors("write", path):
            yield folder
            folder.chmod(0o755)
            _refuse_taken(path, option)  # by another command, meanwhile
            folder.replace(path)
    finally:
        remove_tree(folder)


def _refuse_taken(path: Path, option: str) -> None:
    if path.is_symlink() or (path.exists() and not _is_empty_folder(path)):
        raise UsageError(f"{path} exists already", hint=f"choose another `{option}`, or move it")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None

"""Make a new skill: the whole folder appears at once, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.layout.skeleton import Kind, skeleton
from skillpm.model.name import parse_name
from skillpm.storage.files import storage_error, write_atomic


def create_skill(name: str, directory: Path, kind: Kind = Kind.CLI, *, minimal: bool = False) -> Path:
    """Write a new skill of a kind into ``directory/name`` and return that folder.

    Raises:
        UsageError: the name is not valid, or a file of that name exists.
        StorageError: the disk refused; nothing is left behind.
    """
    if "/" in parse_name(name):
        raise UsageError(f"`{name}` has an owner in front", hint="remove the owner; `skillpm publish --owner` adds it")
    target = directory / name
    if os.path.lexists(target):
        raise UsageError(f"{target} already exists", hint="choose another name, or remove it first")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=directory) as temporary:
            draft = Path(temporary) / name
            for path, content in skeleton(name, kind, minimal=minimal).items():
                write_atomic(draft / path, content)
            draft.rename(target)
    except OSError as error:
        raise storage_error("make", target, error) from None
    return target

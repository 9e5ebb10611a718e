"""What a folder holds against what it should hold, file by file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from skillpm.errors import StorageError
from skillpm.layout.tree import FolderTree, Listing, listing_digest

Kind = Literal["missing", "changed", "surplus"]


@dataclass(frozen=True)
class Contents:
    """What was found in a folder.

    Attributes:
        files: its regular files, path to (executable bit, hex SHA-256).
        odd: what no skill may hold, or cannot be read: path to what it is.
    """

    files: Listing
    odd: dict[str, str]

    @cached_property
    def digest(self) -> str | None:
        """The digest of the tree; None where the folder holds anything odd."""
        return None if self.odd else listing_digest(self.files)


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One file that is not as it should be; ``detail`` says in what."""

    path: str
    kind: Kind
    detail: str = ""


def contents(folder: Path) -> Contents:
    """Read a folder whole. What cannot be read is part of the answer, never an error."""
    tree = FolderTree(folder)
    files: Listing = {}
    odd = tree.irregular()
    for path in tree.paths():
        try:
            files[path] = tree.executable(path), hashlib.sha256(tree.read(path)).hexdigest()
        except StorageError:
            odd[path] = "unreadable"
    return Contents(files, odd)


def differences(contents: Contents, wanted: Listing) -> list[Difference]:
    """Return what is missing, changed and surplus, by path."""
    return sorted(_differences(contents, wanted))


def _differences(contents: Contents, wanted: Listing) -> Iterator[Difference]:
    for path, kind in contents.odd.items():
        yield Difference(path, "changed" if path in wanted else "surplus", kind)
    for path in wanted.keys() - contents.files.keys() - contents.odd.keys():
        yield Difference(path, "missing")
    for path, (executable, digest) in contents.files.items():
        if path not in wanted:
            yield Difference(path, "surplus")
        elif digest != wanted[path][1]:
            yield Difference(path, "changed", "content")
        elif executable != wanted[path][0]:
            yield Difference(path, "changed", "executable bit")

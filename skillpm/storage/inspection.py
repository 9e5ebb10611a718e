"""The comparison of a folder with its expected files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from skillpm.errors import StorageError
from skillpm.layout.tree import FileDigests, FolderTree, digest_of, file_digest

Kind = Literal["missing", "changed", "surplus"]


@dataclass(frozen=True)
class Contents:
    """The contents of a folder.

    Attributes:
        files: its regular files, path to (executable bit, hex SHA-256).
        odd: entries that no skill may have, and unreadable files: path to kind.
    """

    files: FileDigests
    odd: dict[str, str]

    @cached_property
    def digest(self) -> str | None:
        """The digest of the tree; None if the folder has an odd entry."""
        return None if self.odd else digest_of(self.files)


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One file that differs from the expected one in ``detail``."""

    path: str
    kind: Kind
    detail: str = ""


def contents(folder: Path) -> Contents:
    """Read a whole folder. An unreadable file is part of the result, never an error."""
    tree = FolderTree(folder)
    files: FileDigests = {}
    odd = tree.irregular()
    for path in tree.paths():
        try:
            files[path] = tree.executable(path), file_digest(tree, path)
        except StorageError:
            odd[path] = "unreadable"
    return Contents(files, odd)


def differences(contents: Contents, wanted: FileDigests) -> list[Difference]:
    """Return the missing, changed and surplus files, by path."""
    return sorted(_differences(contents, wanted))


def _differences(contents: Contents, wanted: FileDigests) -> Iterator[Difference]:
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

"""A read-only tree of files: a folder, a mapping, an unpacked archive. Everything in it is hostile until checked.

Invariants: paths are relative, posix, sorted; links are never followed; reading never blocks on a pipe or a device.
Where a skill comes from, a link to a file of the same skill is read as that file, as ``CLAUDE.md`` often is
``AGENTS.md``: ``linked_file``.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from skillpm.errors import StorageError
from skillpm.formats.gathered import PIECE, pieces_of

FileDigests = dict[str, tuple[bool, str]]

VERSION_CONTROL = frozenset({".git", ".hg", ".svn"})
LEFT_OUT_FOLDERS = VERSION_CONTROL | {
    "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".venv"
}  # fmt: skip
LEFT_OUT_FILES = frozenset({".ds_store", ".git"})  # a submodule and a work tree have a file `.git`
_KINDS = {
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def left_out(path: str) -> bool:
    """Does this posix path belong to version control, an interpreter or a desktop, not to the skill?

    In any letter case: `.GIT` is `.git` on a file system that does not tell them apart.
    """
    *folders, name = path.casefold().split("/")
    return not LEFT_OUT_FOLDERS.isdisjoint(folders) or _file_left_out(name)


def _file_left_out(name: str) -> bool:
    name = name.casefold()
    return name in LEFT_OUT_FILES or name.endswith(".pyc")


def linked_file(path: str, target: str, files: Container[str]) -> str | None:
    """Return the one of these files that a link at a path leads to; None if it leads elsewhere or to another link."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return place if place in files else None


class Tree(Protocol):
    """What a skill is made of, wherever it lies."""

    def paths(self) -> list[str]:
        """Return the sorted posix paths of the regular files."""

    def read(self, path: str) -> bytes:
        """Return the content of a file. Raises UnreadableFileError if there is no such file, or it cannot be read."""

    def head(self, path: str, limit: int) -> bytes:
        """Return at most the first ``limit`` bytes of a file. Raises UnreadableFileError."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file that may be large. Raises UnreadableFileError."""

    def executable(self, path: str) -> bool:
        """May the owner execute this file?"""

    def irregular(self) -> dict[str, str]:
        """Return the kind of each entry that is not a regular file, by path: symlink, fifo, socket, device."""


def subtree(tree: Tree, folder: str) -> MappingTree:
    """Return the files below a folder of a tree, the whole tree for ""; links and the like are left out."""
    top = f"{folder}/" if folder else ""
    paths = [path for path in tree.paths() if path.startswith(top)]
    return MappingTree(
        {path.removeprefix(top): tree.read(path) for path in paths},
        {path.removeprefix(top) for path in paths if tree.executable(path)},
    )


class UnreadableFileError(StorageError):
    """A file of a tree is missing, or cannot be read; ``reason`` follows the path and a colon."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class MappingTree:
    """A tree in memory: content by posix path, executable paths, and the kinds of irregular entries by path."""

    def __init__(
        self,
        files: Mapping[str, bytes | memoryview],
        executables: Container[str] = (),
        irregular: Mapping[str, str] | None = None,
    ) -> None:
        self._files = dict(sorted(files.items()))
        self._executables = executables
        self._irregular = dict(irregular or {})

    @cached_property
    def digest(self) -> str:
        """Its ``tree_digest``: a mapping does not change, so it is made once."""
        return digest_of(file_digests(self))

    def paths(self) -> list[str]:
        """Return the sorted posix paths of the regular files."""
        return list(self._files)

    def read(self, path: str) -> bytes:
        """Return the content of a file. Raises UnreadableFileError."""
        try:
            return bytes(self._files[path])
        except KeyError:
            raise UnreadableFileError(path, "no such file") from None

    def head(self, path: str, limit: int) -> bytes:
        """Return at most the first ``limit`` bytes of a file. Raises UnreadableFileError."""
        content = self._files.get(path)
        return bytes(content[:limit]) if isinstance(content, memoryview) else self.read(path)[:limit]

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file. Raises UnreadableFileError."""
        content = self._files.get(path)
        yield from pieces_of(content if isinstance(content, memoryview) else self.read(path))

    def executable(self, path: str) -> bool:
        """May the owner execute this file?"""
        return path in self._executables

    def irregular(self) -> dict[str, str]:
        """Return the kind of each entry that is not a regular file, by path: symlink, fifo, socket, device."""
        return dict(self._irregular)


class FolderTree:
    """A folder on the local disk, walked once. What version control and interpreters leave behind is left out.

    Args:
        root: the folder; may itself be reached through a link.
        whole: leave out only what version control keeps; for looking, never for packing.
        keep: hold on to what was read, so that whoever reads it again gets the same bytes, without the disk.
    """

    def __init__(self, root: Path, *, whole: bool = False, keep: bool = False) -> None:
        self.root = root
        self._kept: dict[str, bytes] | None = {} if keep else None
        self._prefix = f"{root}{os.sep}"
        self._linked: dict[str, str] = {}  # links, and the files of the tree that they lead to
        self._left_out = VERSION_CONTROL if whole else LEFT_OUT_FOLDERS
        self._whole = whole

    @cached_property
    def _entries(self) -> tuple[dict[str, tuple[bool, int]], dict[str, str], list[str]]:
        """Return (regular file to executable bit and size in bytes, irregular entry to kind, what is left out)."""
        files: dict[str, tuple[bool, int]] = {}
        irregular: dict[str, str] = {}
        uncounted: list[str] = []
        pending = [""]
        while pending:
            prefix = pending.pop()
            try:
                entries = list(os.scandir(f"{self._prefix}{prefix}"))
            except OSError:
                irregular[prefix.rstrip("/") or "."] = "unreadable folder"
                continue
            if self._enter(prefix, {entry.name for entry in entries}, irregular):
                uncounted.append(prefix.rstrip("/"))
                continue
            for entry in entries:
                path = prefix + entry.name
                mode, size = _mode_and_size(entry)
                if self._leaves_out(path, entry.name, mode):
                    uncounted.append(path)
                elif stat.S_ISDIR(mode):
                    pending.append(f"{path}/")
                elif not stat.S_ISREG(mode):
                    irregular[path] = _KINDS.get(stat.S_IFMT(mode), "unknown kind")
                else:
                    files[path] = bool(mode & stat.S_IXUSR), size
        self._linked = self._links(files, irregular)
        files |= {path: files[file] for path, file in self._linked.items()}
        others = {path: kind for path, kind in irregular.items() if path not in self._linked}
        return dict(sorted(files.items())), dict(sorted(others.items())), sorted(uncounted)

    def _links(self, files: Container[str], irregular: Iterable[str]) -> dict[str, str]:
        """Return the links that are read as a file of the tree, and that file: none in a folder that runs."""
        return {}

    def place(self, path: str) -> str:
        """Return where the bytes of a file lie: a link is neither opened nor replaced."""
        return f"{self._prefix}{self._linked.get(path, path)}"

    @cached_property
    def digest(self) -> str | None:
        """Its ``tree_digest`` where what was read is kept, and so does not change; else None."""
        return None if self._kept is None else digest_of(file_digests(self))

    def paths(self) -> list[str]:
        """Return the sorted posix paths of the regular files."""
        return list(self._entries[0])

    def read(self, path: str) -> bytes:
        """Return the content of a file. Raises UnreadableFileError."""
        if self._kept is None:
            return self._read(path, -1)
        if path not in self._kept:
            self._kept[path] = self._read(path, -1)
        return self._kept[path]

    def head(self, path: str, limit: int) -> bytes:
        """Return at most the first ``limit`` bytes of a file. Raises UnreadableFileError."""
        if self._kept is not None and path in self._kept:
            return self._kept[path][:limit]
        _, size = self._entries[0].get(path, (False, limit))
        return self._read(path, min(limit, size + 1))  # a buffer no larger than the file

    def pieces(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file; a large one is not held on to. Raises UnreadableFileError."""
        if self._entries[0].get(path, (False, 0))[1] <= PIECE:
            yield self.read(path)
            return
        with _readable(path, self.place(path)) as descriptor:
            while piece := os.read(descriptor, PIECE):
                yield piece

    def executable(self, path: str) -> bool:
        """May the owner execute this file?"""
        return self._entries[0].get(path, (False, 0))[0]

    def irregular(self) -> dict[str, str]:
        """Return the kind of each entry that is not a regular file, by path: symlink, fifo, socket, device."""
        return dict(self._entries[1])

    def uncounted(self) -> list[str]:
        """Return the folders and files that are left out."""
        return list(self._entries[2])

    def _enter(self, prefix: str, names: set[str], irregular: dict[str, str]) -> bool:
        """Look at the names in a folder; return True if it is left out whole. ``prefix`` is empty or ends with `/`."""
        return False

    def _leaves_out(self, path: str, name: str, mode: int) -> bool:
        """Is this entry, with all below it, not a part of the tree?"""
        if stat.S_ISDIR(mode):
            return name.casefold() in self._left_out
        return stat.S_ISREG(mode) and (name.casefold() in VERSION_CONTROL if self._whole else _file_left_out(name))

    def _read(self, path: str, limit: int) -> bytes:
        if path.startswith("/") or ".." in path.split("/"):
            raise UnreadableFileError(path, "is not in the folder")
        return self._opened(path, self._entries[0].get(path, (False, 0))[1], limit)

    def _opened(self, path: str, expected: int, limit: int) -> bytes:
        """Read at most ``limit`` bytes, all if negative, of a file that should have ``expected`` bytes."""
        with _readable(path, self.place(path)) as descriptor:
            return _drained(descriptor, expected, limit)


@contextmanager
def _readable(path: str, place: str) -> Iterator[int]:
    """Yield a file, open for reading. Raises UnreadableFileError, also for what fails in the block."""
    try:
        descriptor = os.open(place, _OPEN_FLAGS)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableFileError(path, f"cannot be read: {reason}") from None


def _drained(descriptor: int, expected: int, limit: int) -> bytes:
    """Read to the end, or to ``limit`` bytes where that is not negative; a file object would cost more than reading."""
    parts, left = [], limit
    while left:
        part = os.read(descriptor, expected + 1 if left < 0 else min(left, expected + 1))
        if not part:
            break
        parts.append(part)
        left -= len(part) if left > 0 else 0
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _mode_and_size(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0, 0
    return status.st_mode, status.st_size


def file_digests(tree: Tree) -> FileDigests:
    """Return what a tree's digest is made of: path to (executable bit, hex SHA-256 of the bytes).

    Raises:
        StorageError: a file cannot be read.
    """
    return {path: (tree.executable(path), file_digest(tree, path)) for path in sorted(tree.paths())}


def file_digest(tree: Tree, path: str) -> str:
    """Return the hex SHA-256 of a file. Raises UnreadableFileError."""
    digest = hashlib.sha256()
    for piece in tree.pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def file_size(tree: Tree, path: str) -> int:
    """Return how many bytes a file has. Raises UnreadableFileError."""
    return sum(map(len, tree.pieces(path)))


def digest_of(files: FileDigests) -> str:
    """Return the identity of a tree with these files, a hex SHA-256.

    The hashed text is the canonical JSON of the sorted list, so a folder, a commit and an archive of one skill agree.
    """
    entries = [[path, executable, digest] for path, (executable, digest) in sorted(files.items())]
    return hashlib.sha256(json.dumps(entries, separators=(",", ":")).encode("ascii")).hexdigest()


def tree_digest(tree: Tree) -> str:
    """Return the identity of a tree. Raises StorageError if a file cannot be read."""
    made_once = tree.digest if isinstance(tree, (MappingTree, FolderTree)) else None
    return made_once or digest_of(file_digests(tree))

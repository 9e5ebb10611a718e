"""Small files, read and written whole: a reader sees the old or the new bytes, never a mixture."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from skillpm.errors import DocumentError, StorageError, UsageError
from skillpm.formats.gathered import Bytes
from skillpm.formats.unending import unending
from skillpm.formats.utf8_text import utf8_text

_DRAFT = ".tmp"  # the suffix of a draft
NAME_A_FILE = "write what it yields to a file, and name that"
_HOME = "; for skillpm's own store and cache, SKILLPM_HOME can name another folder"

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space, then run the command again",
    errno.EDQUOT: "your disk quota is used up: free some space, then run the command again",
    errno.EROFS: f"the file system is read-only: work in a folder that can be written{_HOME}",
    errno.EACCES: f"you may not write there: check the owner and the mode of the folder{_HOME}",
    errno.EPERM: f"you may not write there: check the owner and the mode of the folder{_HOME}",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away",
    errno.EISDIR: "a folder stands where a file is needed: move it away",
    errno.ELOOP: "a link leads to itself: remove it",
    errno.EMFILE: "too many files are open: raise the limit with `ulimit -n`",
    errno.ENAMETOOLONG: "the path is too long: work in a folder nearer to the root",
}


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """Return a StorageError that names the file, with a hint for the cause."""
    reason = error.strerror or type(error).__name__
    hint = _HINTS.get(error.errno or 0, "check the disk and the permissions of the folder, then run the command again")
    return StorageError(f"cannot {action} {path}: {reason}", hint=hint, path=str(path), errno=error.errno)


@dataclass(frozen=True, slots=True)
class DiskErrors:
    """Turns the system's errors in a block into StorageErrors that name the action and the file.

    Attributes:
        draft: where the file is prepared; a StorageError about a place in there names that as a person will know it.
    """

    action: str
    path: Path
    draft: Path | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise storage_error(self.action, self.path, error) from None
        if isinstance(error, StorageError) and self.draft is not None:
            error.message = error.message.replace(str(self.draft), str(self.path))
            if "path" in error.details:
                error.details["path"] = str(error.details["path"]).replace(str(self.draft), str(self.path))


def refuse_unending(path: Path) -> None:
    """Raise StorageError where a path leads to no file, and a read of it might never end."""
    kind = unending(path)
    if kind is not None:
        raise StorageError(f"{path} is {kind}, not a regular file", hint=NAME_A_FILE, path=str(path))


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text with its line ends.

    Raises:
        StorageError: the file cannot be read, or a read might never end.
        DocumentError: the file is not UTF-8.
    """
    refuse_unending(path)
    with DiskErrors("read", path):
        data = path.read_bytes()
    return utf8_text(data, str(path))


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends and its byte order mark; they are read one at a time.

    Raises:
        StorageError: the file cannot be read, or a read might never end.
        DocumentError: the file is not UTF-8.
    """
    refuse_unending(path)
    with DiskErrors("read", path), path.open("rb") as file:
        for number, line in enumerate(file):
            text = utf8_text(line.removesuffix(b"\n"), str(path), before=number)
            yield text if number else text.removeprefix("\ufeff")


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expect_file(path: Path, hint: str) -> None:
    """Raise UsageError unless a path that a person named is a regular file, which can be read more than once."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=hint)
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is {unending(path) or 'a pipe'}, not a regular file", hint=NAME_A_FILE)
    if not path.is_file():
        raise UsageError(f"no file {path}", hint=hint)


def named_text(path: Path, form: str = "") -> str:
    """Return the text of a file that a person named.

    ``form`` is what the file has to be, such as ``a PEM key``.

    Raises:
        UsageError: there is no such file, or its bytes are not text, where a form is given.
        DocumentError, StorageError: as ``read_text``.
    """
    expect_file(path, "check the path")
    try:
        return read_text(path)
    except DocumentError as error:
        if not form:
            raise
        raise UsageError(
            f"{path} is not {form}: {error.rule}", hint="give the file that begins with `-----BEGIN`"
        ) from None


def write_atomic(
    path: Path,
    data: Bytes | Iterable[str],
    *,
    mode: int | None = None,
    scratch: Path | None = None,
    durable: bool = True,
) -> None:
    """Write a file through a temporary one: fsync, rename, fsync of the folder. Makes missing folders.

    Args:
        path: the file.
        data: its new content; text, which may come in pieces, is written as UTF-8.
        mode: its permission bits; by default those of the present file, else 666 without the umask.
        scratch: the temporary file's folder, on the same file system; by default the folder of ``path``.
        durable: flush it to the disk; else the caller does so.

    Raises:
        StorageError: the disk refused; the present file is unchanged.
    """
    pieces = [data] if isinstance(data, str) else data
    content = pieces if isinstance(pieces, Bytes) else (piece.encode() for piece in pieces)
    temporary = (scratch or path.parent) / f".{path.name}.{os.urandom(8).hex()}{_DRAFT}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(temporary, content, mode=kept_mode(path) if mode is None else mode, durable=durable)
        temporary.replace(path)
        if durable:
            fsync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error("write", path, error) from None
        raise


def check_can_make(path: Path) -> None:
    """Raise StorageError where no folder can be made at a path, or below it if it is one."""
    import tempfile

    above = next(folder for folder in (path.absolute(), *path.absolute().parents) if os.access(folder, os.F_OK))
    with DiskErrors("make a folder in", above):
        Path(tempfile.mkdtemp(prefix=".skillpm-", dir=above)).rmdir()


def written_through(path: Path) -> Path:
    """Return the file to write for a path: the target of a link, so that the others who share it see the change.

    Whoever writes such a file has read it before, so a link cannot make us overwrite a file of another kind.

    Raises:
        UsageError: the link leads to no file.
    """
    if not path.is_symlink():
        return path
    if not path.is_file():
        raise UsageError(f"{path} is a link that leads to no file", hint="remove the link, or make the file")
    return path.resolve()


def kept_mode(path: Path) -> int | None:
    """Return the permission bits of a file, or None if it does not exist."""
    with contextlib.suppress(OSError):
        return path.stat().st_mode & 0o777
    return None


def write_new(path: Path, data: Bytes | Iterable[bytes], *, mode: int | None = None, durable: bool = False) -> None:
    """Write a new file. Raises OSError, also if it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(descriptor, mode)
        file.writelines([data] if isinstance(data, Bytes) else data)
        if durable:
            file.flush()
            os.fsync(descriptor)


def append_line(path: Path, line: str) -> None:
    """Append a line to a file, which a process that is killed may cut. Raises StorageError."""
    with DiskErrors("write", path), path.open("ab+") as file:
        if file.tell() and _last_byte(file) != b"\n":  # a line was cut: the next one stands for itself
            file.write(b"\n")
        file.write(line.encode() + b"\n")


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def remove_drafts(path: Path) -> None:
    """Remove the drafts of killed writers; call it only while no other process writes the file."""
    for draft in path.parent.glob(f".{path.name}.*{_DRAFT}"):
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: Path | str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """Yield the descriptor of a path, and close it. Raises OSError."""
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Flush a rename in this folder to the disk, if the file system can."""
    with opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        try:
            os.fsync(descriptor)
        except OSError as error:  # some network file systems cannot fsync a folder
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise

"""The files inside an archive of any program, in memory and within bounds. Nothing is written, no link is followed.

An archive is opened only whole: one member that cannot be read, and the archive counts as sealed. The bounds hold for
all archives of a skill together, so a bomb ends at them.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from skillpm.layout.filenames import LIMITS, unsafe_name
from skillpm.layout.tree import MappingTree, left_out

Member = tuple[str, bytes, bool]  # the name (a folder's ends with a slash), the content, and may it be executed?
MAX_DEPTH = 3  # archives in archives
_ENDINGS = {
    "zip": (".zip", ".jar", ".whl", ".mcpb", ".dxt", ".vsix", ".skill", ".xpi", ".epub", ".apkg", ".crx"),
    "gzip": (".gz", ".tgz", ".svgz"),
    "bzip2": (".bz2", ".tbz2", ".tbz"),
    "xz": (".xz", ".txz"),
    "tar": (".tar",),
}
_ZIP_END = 22  # bytes of the last record of a zip, before its comment
_MAGIC = {b"PK": "zip", b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz"}  # by which they begin; tar has none


class SealedError(Exception):
    """An archive cannot be looked into; the text says why."""


@dataclass(slots=True)
class Bounds:
    """What may still be unpacked from the archives of one skill."""

    size: int = LIMITS.size  # bytes
    files: int = LIMITS.files

    def take(self, data: bytes) -> bytes:
        """Count a member. Raises SealedError at the bounds."""
        self.size -= len(data)
        self.files -= 1
        if self.size < 0 or self.files < 0:
            raise SealedError(f"unpacks to more than {LIMITS.size} bytes or {LIMITS.files:,} files")
        return data


def members(data: bytes, path: str, kind: str, bounds: Bounds) -> list[tuple[str, bytes]]:
    """Return the files of an archive: their names and their contents.

    The ending of the path must say what the archive is; ``kind`` is the name of its format, as ``signature`` gives it.

    Raises:
        SealedError: it is of an unknown format or under another name, has a password, is damaged or too large, or has a
            member that is not a regular file with a safe name.
    """
    if kind not in _ENDINGS:
        raise SealedError("has a format that skillpm cannot open")
    if not path.lower().endswith(_ENDINGS[kind]):
        raise SealedError("has a name that does not say so")
    with _sealed():
        if kind == "zip":
            return _files(_zipped(data, bounds))
        content = data if kind == "tar" else _decompressed(data, kind, bounds.size)
        inside = path.rpartition("/")[2].rpartition(".")[0]
        if content[257:262] == b"ustar" or inside.endswith(".tar") or path.lower().endswith((".tgz", ".txz")):
            return _files(_tarred(content, bounds))
        return [(inside, bounds.take(content))]


def _files(listed: Iterator[Member]) -> list[tuple[str, bytes]]:
    return [(name, content) for name, content, _ in listed if not name.endswith("/")]


def packed_tree(data: bytes) -> MappingTree:
    """Return the tree that any program has packed as a zip, a tar or a compressed tar.

    What is left out of a package is left out.

    Raises:
        SealedError: it is none of them, or as ``members`` says.
    """
    kind, bounds = _MAGIC.get(data[:2], "tar"), Bounds()
    with _sealed():
        if kind == "zip":
            entries = [*_zipped(data, bounds)]
        else:
            if kind == "tar" and data[257:262] != b"ustar":
                web = ": it is HTML" if data[:512].lstrip()[:1] == b"<" else ""
                raise SealedError(f"is neither a zip nor a tar{web}")
            tar = data if kind == "tar" else _decompressed(data, kind, bounds.size + bounds.files * 2048)
            entries = [*_tarred(tar, bounds)]
    listed = [entry for entry in entries if not entry[0].endswith("/")]
    files = {name: content for name, content, _ in listed if not (left_out(name) or _of_macos(name))}
    if len({name for name, _, _ in listed}) < len(listed):
        raise SealedError("has a name twice")
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    folders |= {name.rstrip("/") for name, _, _ in entries if name.endswith("/")}
    both = min(files.keys() & folders, default="")
    if both:
        raise SealedError(f"has `{both[:80]}` as a file and as a folder")
    return MappingTree(files, {name for name, _, runs in listed if runs})


def _of_macos(name: str) -> bool:
    """Does a file hold only what the Finder knows of another?"""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")


@contextmanager
def _sealed() -> Iterator[None]:
    """Turn what the libraries raise about an archive into SealedError."""
    import lzma
    import struct
    import tarfile
    import zipfile
    import zlib

    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error) as error:
        raise SealedError("is damaged") from error
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, LookupError, OverflowError) as error:
        raise SealedError("cannot be unpacked") from error


def _zipped(data: bytes, bounds: Bounds) -> Iterator[Member]:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        listed = archive.infolist()
        end = len(data) - _ZIP_END - len(archive.comment)
        if not data.startswith(b"PK\5\6", end) or min((member.header_offset for member in listed), default=0):
            raise SealedError("has bytes outside of it")  # such as a second zip, which some programs would read
        backslashes = not any("/" in member.filename for member in listed)  # as old programs of Windows write folders
        for member in listed:
            name = _safe(member.filename.replace("\\", "/") if backslashes else member.filename)
            mode = member.external_attr >> 16
            if member.flag_bits & 1:
                raise SealedError("has a password")
            if stat.S_ISLNK(mode):
                raise SealedError(f"has the link `{name[:80]}`")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise SealedError(f"has `{name[:80]}`, which is not a regular file")
            if name.endswith("/"):
                yield name, b"", False
                continue
            with archive.open(member) as file:
                yield name, bounds.take(file.read(bounds.size + 1)), bool(mode & stat.S_IXUSR)


def _tarred(content: bytes, bounds: Bounds) -> Iterator[Member]:
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            if member.isdir() and member.name in (".", "./"):
                continue
            name = _safe(member.name.removeprefix("./"))
            if member.isdir():
                yield f"{name}/", b"", False
                continue
            file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if file is None:
                raise SealedError(f"has `{name[:80]}`, which is not a regular file")
            yield name, bounds.take(file.read(bounds.size + 1)), bool(member.mode & stat.S_IXUSR)
        if not content.startswith(bytes(tarfile.BLOCKSIZE), archive.offset):
            raise SealedError("is cut off")
        if content[archive.offset :].strip(b"\0"):  # such as a second tar, which some programs would read too
            raise SealedError("has bytes after its end")


def _decompressed(data: bytes, kind: str, limit: int) -> bytes:
    import bz2
    import lzma
    import zlib

    parts, left = [], limit + 1
    while data and left > 0:
        if _MAGIC.get(data[:2]) != kind:
            raise SealedError("has bytes after its end")
        if kind == "gzip":
            gzip = zlib.decompressobj(31)
            parts.append(gzip.decompress(data, left))
            ended, data = gzip.eof, gzip.unused_data
        else:
            stream = bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(memlimit=1 << 27)
            parts.append(stream.decompress(data, left))
            ended, data = stream.eof, stream.unused_data
        left -= len(parts[-1])
        if not ended and left > 0:
            raise SealedError("is cut off")
    if left <= 0:
        raise SealedError(f"unpacks to more than {limit} bytes")
    return b"".join(parts)


def _safe(name: str) -> str:
    if unsafe_name(name.rstrip("/")):
        raise SealedError(f"has the name `{name[:80]}`, which is not safe")
    return name

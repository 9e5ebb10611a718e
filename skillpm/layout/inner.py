"""The files inside an archive, in memory and within bounds. Nothing is written, and no link is followed.

An archive is opened only whole: one member that cannot be read, and the archive counts as sealed. The bounds hold for
all archives of a skill together, so a bomb ends at them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from skillpm.layout.filenames import LIMITS, unsafe_name

MAX_DEPTH = 3  # archives in archives
_ENDINGS = {
    "zip": (".zip", ".jar", ".whl", ".mcpb", ".dxt", ".vsix", ".skill", ".xpi", ".epub", ".apkg", ".crx"),
    "gzip": (".gz", ".tgz", ".svgz"),
    "bzip2": (".bz2", ".tbz2", ".tbz"),
    "xz": (".xz", ".txz"),
    "tar": (".tar",),
}


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
    import lzma
    import struct
    import tarfile
    import zipfile
    import zlib

    if kind not in _ENDINGS:
        raise SealedError("is of a format that is not looked into")
    if not path.lower().endswith(_ENDINGS[kind]):
        raise SealedError("stands under a name that does not say so")
    try:
        if kind == "zip":
            return list(_zipped(data, bounds))
        content = data if kind == "tar" else _decompressed(data, kind, bounds.size)
        inside = path.rpartition("/")[2].rpartition(".")[0]
        if content[257:262] == b"ustar" or inside.endswith(".tar") or path.lower().endswith((".tgz", ".txz")):
            return list(_tarred(content, bounds))
        return [(inside, bounds.take(content))]
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error) as error:
        raise SealedError("is damaged") from error
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, LookupError, OverflowError) as error:
        raise SealedError("cannot be unpacked") from error


def _zipped(data: bytes, bounds: Bounds) -> Iterator[tuple[str, bytes]]:
    import stat
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            name = _safe(member.filename)
            if member.flag_bits & 1:
                raise SealedError("has a password")
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise SealedError(f"has the link `{name[:80]}`")
            with archive.open(member) as file:
                yield name, bounds.take(file.read(bounds.size + 1))


def _tarred(content: bytes, bounds: Bounds) -> Iterator[tuple[str, bytes]]:
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            name = _safe(member.name.removeprefix("./") or "x")
            if member.isdir():
                continue
            file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if file is None:
                raise SealedError(f"has `{name[:80]}`, which is not a regular file")
            yield name, bounds.take(file.read(bounds.size + 1))


def _decompressed(data: bytes, kind: str, limit: int) -> bytes:
    import bz2
    import lzma
    import zlib

    parts, left = [], limit + 1
    while data and left > 0:
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

"""Archives that no honest tool makes, byte by byte: headers whose fields are edited, and what other tools add."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

from skillpm.layout.tree import MappingTree
from skillpm.storage.archive import build_archive

Edit = Callable[[bytearray], None]


def member(path: str = "SKILL.md", data: bytes = b"x", edit: Edit | None = None, *, seal: bool = True) -> bytes:
    """One header and its data; ``edit`` changes the header, and the checksum is made right again."""
    whole = bytearray(gzip.decompress(build_archive(MappingTree({"SKILL.md": data})))[:-1024])
    whole[0:100] = path.encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0")
    if edit is not None:
        edit(whole)
    if seal:
        whole[148:156] = b" " * 8
        whole[148:156] = b"%06o\0 " % sum(whole[:512])
    return bytes(whole)


def archive(*members: bytes, end: bytes = b"\0" * 1024) -> bytes:
    return gzip.compress(b"".join(members) + end, 1, mtime=0)  # the least work: some are bombs


def put(start: int, value: bytes) -> Edit:
    def edit(header: bytearray) -> None:
        header[start : start + len(value)] = value

    return edit


def mode(text: bytes) -> Edit:
    return put(100, text)


def kind(letter: bytes, link: bytes = b"") -> Edit:
    def edit(header: bytearray) -> None:
        header[156:157] = letter
        header[157 : 157 + len(link)] = link

    return edit


def pax(**headers: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("SKILL.md")
        info.size, info.pax_headers = 1, headers
        tar.addfile(info, io.BytesIO(b"x"))
    return gzip.compress(file.getvalue(), 1)


def gnu_long_name() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("a/" * 80 + "b"))
    return gzip.compress(file.getvalue())

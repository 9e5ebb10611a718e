"""An archive is byte-identical for one tree, and only what the writer could have written is read."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.errors import IntegrityError
from skillpm.layout.filenames import ADAPTER, ADAPTER_LIMITS, LIMITS, Limits, path_problem
from skillpm.layout.tree import FolderTree, MappingTree, tree_digest
from skillpm.storage.archive import (
    archive_digest,
    build_archive,
    compressed,
    read_any_archive,
    read_archive,
    read_own_archive,
)
from skillpm.storage.unpack import unpack
from tests.tars import archive, gnu_long_name, kind, member, mode, pax, put

BAD_NAMES = [
    *(
        "../x",
        "/etc/passwd",
        "a/../../x",
        "./x",
        "//x",
        "a//b",
        ".",
        "..",
        "",
        "a/",
        "a/.",
        "a\\b",
        "C:x",
        "a?b",
        "com¹.md",
    ),
    *(
        "CON",
        "nul.txt",
        "a/aux.md",
        "a.",
        "a ",
        "a\tb",
        "a\nb",
        "a\x1bb",
        "a\u0308.md",
        "a\u202eb",
        "a\u200bb",
        "a\u3000",
    ),
    *(
        "__pycache__/x.py",
        "x.pyc",
        "x.PYC",
        "x.pth",
        "x.start",
        "sitecustomize.py",
        "lib/usercustomize.py",
        "x.egg-link",
    ),
    *(".git/config", "a/.GIT/hooks/x", "a/b/c/d/e/f/g/h/i/j/k"),
]

HOSTILE = {
    "a symbolic link": (archive(member(edit=kind(b"2", b"/etc/passwd"))), "symbolic link"),
    "a hard link": (archive(member(edit=kind(b"1", b"SKILL.md"))), "hard link"),
    "a FIFO": (archive(member(edit=kind(b"6"))), "FIFO"),
    "a character device": (archive(member(edit=kind(b"3"))), "character device"),
    "a block device": (archive(member(edit=kind(b"4"))), "block device"),
    "a folder entry": (archive(member(edit=kind(b"5"))), "folder entry"),
    "an unknown type": (archive(member(edit=kind(b"Z"))), "unknown type"),
    "a set-uid file": (archive(member(edit=mode(b"0004755\0"))), "mode 4755"),
    "a sticky file": (archive(member(edit=mode(b"0001644\0"))), "mode 1644"),
    "a world-writable file": (archive(member(edit=mode(b"0000666\0"))), "mode 666"),
    "a PAX path": (pax(path="../evil"), "PAX"),
    "a PAX size": (pax(size="1000"), "PAX"),
    "a PAX comment": (pax(comment="c" * (1 << 20)), "PAX"),
    "a global PAX header": (archive(member(edit=kind(b"g"))), "PAX"),
    "a GNU long name": (gnu_long_name(), "ustar"),
    "a GNU long name under a ustar magic": (archive(member(edit=kind(b"L"))), "GNU"),
    "a sparse file": (archive(member(edit=kind(b"S"))), "GNU"),
    "a base-256 size": (archive(member(edit=put(124, b"\x80" + b"\0" * 10 + b"\1"))), "octal"),
    "a size that is not octal": (archive(member(edit=put(124, b"00000000009\0"))), "octal"),
    "a negative size": (archive(member(edit=put(124, b"-0000000001\0"))), "octal"),
    "a wrong checksum": (archive(member(edit=put(148, b"0000001\0"), seal=False)), "checksum"),
    "no ustar magic": (archive(member(edit=put(257, b"\0" * 8))), "ustar"),
    "the same member twice": (archive(member(), member()), "twice"),
    "two spellings of one name": (archive(member(), member("skill.md")), "twice"),
    "a file used as a folder": (archive(member("a"), member("a/b")), "file and as a folder"),
    "a folder used as a file": (archive(member("a/b"), member("A")), "file and as a folder"),
    "bytes after a name": (archive(member(edit=put(20, b"hidden"))), "after the end of its name"),
    "bytes in the padding of a header": (archive(member(edit=put(505, b"x"))), "where a regular file has none"),
    "bytes in the padding of a file": (archive(member(edit=put(1000, b"x"))), "hidden bytes"),
    "a file that is cut off": (archive(member(edit=put(124, b"00000100000\0"))), "cut off"),
    "no end": (archive(member(), end=b""), "middle"),
    "half an end": (archive(member(), end=b"\0" * 512), "cut off"),
    "a second tar after the end": (archive(member(), end=b"\0" * 1024 + member("b")), "after its end"),
    "gzip that is cut off": (archive(member())[:-9], "cut off"),
    "a wrong checksum of gzip": (archive(member())[:-8] + b"\0" * 8, "damaged"),
    "bytes after gzip": (archive(member()) + b"x", "after its end"),
    "a second gzip member": (archive(member()) + archive(member("b")), "after its end"),
    "a zip": (b"PK\3\4" + b"\0" * 100, "not gzip"),
    "an xz": (b"\xfd7zXZ\0" + b"\0" * 100, "not gzip"),
    "a bare tar": (gzip.decompress(archive(member())), "not gzip"),
    "the page of a captive portal": (b"<!DOCTYPE html><html></html>", "HTML"),
    "nothing": (b"", "not gzip"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_with_the_reason(name: str) -> None:
    data, reason = HOSTILE[name]
    with pytest.raises(IntegrityError, match=reason) as caught:
        read_archive(data)
    assert caught.value.hint


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_could_mean_another_file_are_refused_by_reader_and_writer(name: str) -> None:
    assert path_problem(name)
    with pytest.raises(IntegrityError):
        read_archive(archive(member(name)))
    with pytest.raises(IntegrityError) as caught:
        build_archive(MappingTree({name: b"x"}))
    assert caught.value.details["member"] == name
    assert caught.value.hint


def test_a_path_of_more_than_240_bytes_is_refused() -> None:
    assert path_problem("/".join(["a" * 60] * 4)) is not None
    assert path_problem("/".join(["a" * 47] * 5)) is None
    assert path_problem("/".join(["a" * 59] * 4)) is not None, "no field of a header holds the last two parts"


def test_a_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(bytes(96 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError, match="unpacks to more"):
            read_archive(bomb)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_large_archive_is_never_in_memory_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where it is packed and compressed, nor where it is unpacked; the bytes are those of a small one."""
    content = random.Random(0).randbytes(12 << 20)
    (tmp_path / "weights").write_bytes(content)
    whole = bytes(build_archive(MappingTree({"weights": content})))
    monkeypatch.setattr("skillpm.formats.gathered.IN_MEMORY", 1 << 20)
    tracemalloc.start()
    try:
        canonical = build_archive(FolderTree(tmp_path, keep=True))
        packed = compressed(canonical)
        tree = read_archive(packed)
        unpack(tree, tmp_path / "out")
        digests = archive_digest(packed), tree_digest(tree)
        assert tracemalloc.get_traced_memory()[1] < len(content) // 2
    finally:
        tracemalloc.stop()
    assert canonical[:] == whole and tree.read("weights") == content == (tmp_path / "out/weights").read_bytes()
    assert digests == (hashlib.sha256(whole).hexdigest(), tree_digest(MappingTree({"weights": content})))
    assert tree.head("weights", 3) == content[:3]
    with pytest.raises(IntegrityError, match="after its end"):
        read_archive(packed[:] + b"x")
    with pytest.raises(IntegrityError, match="cut off"):
        read_archive(packed[:-9])


def test_too_many_files_are_refused() -> None:
    small = replace(LIMITS, files=3)
    files = {f"{number}.md": b"" for number in range(4)}
    data = build_archive(MappingTree(files))
    with pytest.raises(IntegrityError, match="limit of files"):
        read_archive(data, small)
    with pytest.raises(IntegrityError, match="limit of files"):
        build_archive(MappingTree(files), small)


def test_too_many_bytes_are_refused() -> None:
    small = replace(LIMITS, size=1000)
    tree = MappingTree({"a": bytes(600), "b": bytes(600)})
    with pytest.raises(IntegrityError, match="over 1000 bytes"):
        read_archive(build_archive(tree), small)
    with pytest.raises(IntegrityError, match="over 1000 bytes"):
        build_archive(tree, small)


def test_an_archive_that_nobody_has_described_may_be_as_large_as_an_adapter_if_it_is_one() -> None:
    for name in (ADAPTER, "data.json"):
        tree = MappingTree({name: b"{}", "weights": bytes(LIMITS.size)})
        data = compressed(build_archive(tree, ADAPTER_LIMITS))
        if name == ADAPTER:
            assert tree_digest(read_own_archive(data)) == tree_digest(tree)
        else:
            with pytest.raises(IntegrityError, match="over 20971520 bytes"):
                read_own_archive(data)


def test_the_limits_fit_every_public_skill() -> None:
    assert Limits() == Limits(size=20 << 20, files=2000, path=240, depth=10)


def test_dot_files_are_kept() -> None:
    tree = MappingTree({"SKILL.md": b"", ".gitignore": b"x", "a/.env.example": b"y"})
    assert read_archive(build_archive(tree)).paths() == tree.paths()


def test_a_link_in_a_folder_is_not_followed_but_refused(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text("x")
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError, match="passwd"):
        build_archive(FolderTree(tmp_path))


def test_long_paths_use_the_prefix_of_ustar() -> None:
    path = "/".join(["a" * 50] * 4)
    assert read_archive(build_archive(MappingTree({path: b"x"}))).read(path) == b"x"


def test_an_archive_has_the_same_bytes_for_ever() -> None:
    """The header and the tar inside are pinned; deflate's own output may differ between implementations of zlib."""
    tree = MappingTree({"scripts/run.sh": b"echo\n", "SKILL.md": b"---\nname: a\n---\n"}, {"scripts/run.sh"})
    data = build_archive(tree)
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    content = gzip.decompress(data)
    assert hashlib.sha256(content).hexdigest() == "bda5304ca4bbca31356ce05e720cc8f06bc2ea0570cac0303e56773d7c0df96b"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [(info.name, info.mode, info.mtime, info.uid) for info in tar] == [
            ("SKILL.md", 0o644, 0, 0),
            ("scripts/run.sh", 0o755, 0, 0),
        ]


SEGMENTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-+]{0,8}[A-Za-z0-9_]", fullmatch=True).filter(
    lambda text: path_problem(text) is None
)
TREES = st.dictionaries(st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join), st.binary(max_size=1500), max_size=6)


@given(TREES, st.data())
def test_what_is_written_is_read_back_and_order_does_not_matter(files: dict[str, bytes], data: st.DataObject) -> None:
    executables = {path for path in files if data.draw(st.booleans())}
    tree = MappingTree(files, executables)
    shuffled = MappingTree(dict(data.draw(st.permutations(list(files.items())))), executables)
    try:
        archive = build_archive(tree)
    except IntegrityError:
        return  # two names that are one where case does not count
    assert build_archive(shuffled) == archive
    assert tree_digest(read_archive(archive)) == tree_digest(tree)


@given(st.integers(0, 511), st.integers(1, 255))
def test_no_change_of_a_byte_in_a_header_is_silent(position: int, flip: int) -> None:
    """Whatever a header is changed to without its checksum, it is refused."""
    content = bytearray(gzip.decompress(build_archive(MappingTree({"SKILL.md": b"x" * 512}))))
    content[position] ^= flip
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = body.compress(bytes(content)) + body.flush()
    data = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + struct.pack("<II", zlib.crc32(content), len(content))
    with pytest.raises(IntegrityError):
        read_archive(data)


@given(st.binary(max_size=2000))
def test_any_bytes_give_an_integrity_error_and_nothing_else(junk: bytes) -> None:
    for data in (junk, gzip.compress(junk), gzip.compress(junk.ljust(1024, b"\0") + bytes(1024))):
        try:
            read_archive(data)
        except IntegrityError:
            continue


Pack = Callable[[dict[str, bytes]], bytes]


def zipped(files: dict[str, bytes], kind: int = stat.S_IFREG) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | (0o755 if content.startswith(b"#!") else 0o644)) << 16
            file.writestr(info, content)
    return data.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w:gz", kind: bytes = tarfile.REGTYPE) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as file:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.type = len(content), 0o700 if content.startswith(b"#!") else 0o600, kind
            file.addfile(info, io.BytesIO(content))
    return data.getvalue()


@pytest.mark.parametrize(
    "pack", [zipped, tarred, lambda files: tarred(files, "w"), lambda files: tarred(files, "w:xz")]
)
@pytest.mark.parametrize("top", ["", "./", "demo/", "./demo/"])
def test_an_archive_of_another_program_has_the_skill_at_its_top_or_in_its_one_folder(pack: Pack, top: str) -> None:
    files = {"SKILL.md": b"x", "run.sh": b"#!/bin/sh", "a/SKILL.md": b"y"}
    if pack is zipped and "./" in top:
        return  # no program writes this
    more = {f"{top}.git/config": b"", "__MACOSX/demo/._SKILL.md": b"", f"{top}._SKILL.md": b""}
    tree = read_any_archive(pack({**{top + name: content for name, content in files.items()}, **more}))
    assert tree_digest(tree) == tree_digest(MappingTree(files, {"run.sh"}))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped({"../x": b""}), "is not safe"),
        (bytes((24 << 20) + 1), "more than 25,165,824 bytes"),
        (tarred({"/etc/x": b""}), "is not safe"),
        (tarred({"x": b""}, kind=tarfile.SYMTYPE), "not a regular file"),
        (b"".join(tarred({"x": b"1"}, "w")[:1024] for _ in range(2)) + bytes(1024), "a name twice"),
        (tarred({"x": b""}, "w") + tarred({"y": b""}, "w"), "bytes after its end"),
        (tarred({"a": b"", "a/b": b""}), "`a` as a file and as a folder"),
        (zipped({"a/b": b"", "a": b""}), "`a` as a file and as a folder"),
        (zipped({"a": b"", "a/": b""}), "`a` as a file and as a folder"),
        (zipped({"x": b""}) + zipped({"y": b""}), "bytes outside of it"),
        (zipped({"x": b""}) + b"y", "bytes outside of it"),
        (zipped({"x": b""}, stat.S_IFIFO), "`x`, which is not a regular file"),
        (tarred({"x": b""}, "w")[:512], "is cut off"),
        (zipped({"x": bytes(LIMITS.size + 1)}), "unpacks to more than"),
        (b"PK\x03\x04", "is damaged"),
        (b"", "neither a zip nor a tar"),
        (b" <html>", "it is HTML"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_of_another_program_is_refused_whole(data: bytes, reason: str) -> None:
    with pytest.raises(IntegrityError, match=reason):
        read_any_archive(data)

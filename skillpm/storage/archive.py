"""Archives of skills: gzip over ustar, regular files only. The writer is canonical, the reader is strict.

The writer uses sorted paths, modes 644 and 755, no time, no owner, a fixed gzip header, and deflate's stored blocks. So
the same tree gives the same bytes on every machine and in every year, and their digest names the archive.

What is published and sent is compressed. Compressed blocks depend on the library, because zlib, zlib-ng and their
versions choose differently. So ``archive_digest`` is the digest of the canonical form, however an archive is packed.

The reader is our own because tar libraries disagree about hostile archives. It accepts no extension records (PAX, GNU),
no links, no devices, and no bytes between or after the members. The whole archive is checked before the reader returns.
Formats: POSIX.1-1988 (ustar), RFC 1951 (deflate), RFC 1952 (gzip).
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress

from skillpm.errors import IntegrityError
from skillpm.formats.gathered import IN_MEMORY, PIECE, Bytes, gathered, inflated, pieces_of
from skillpm.layout.discovery import skill_folders
from skillpm.layout.filenames import ADAPTER, ADAPTER_LIMITS, LIMITS, Limits, Members, problems, ustar_fields
from skillpm.layout.inner import SealedError, packed_tree
from skillpm.layout.tree import MappingTree, Tree, subtree

OWN = ".tar.gz"  # how the name of what ``skillpm pack`` makes ends
ARCHIVES = (OWN, ".tgz", ".tar", ".tar.xz", ".tar.bz2", ".zip", ".skill")  # how the name of a packed skill ends
MAX_FOREIGN = 24 << 20  # bytes of an archive that another program has packed
_BLOCK = 512
_SHOWN = 5  # files that one message names
_STORED = 0xFFFF  # bytes of one stored block at most
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no flags, no time, unknown system
_OCTAL = re.compile(rb" {0,7}([0-7]{1,11})[ \0]{0,8}\Z")
_MODES = {0o644: False, 0o755: True}
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder entry",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"x": "a PAX header",
    b"g": "a global PAX header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a GNU sparse file",
    b"D": "a GNU folder listing",
    b"V": "a GNU volume label",
    b"M": "a GNU continuation",
}


def limits_of(adapter: object) -> Limits:
    """Return the limits of a package: those of an adapter where it is one. What it may hold is the scan's matter."""
    return ADAPTER_LIMITS if adapter else LIMITS


def build_archive(tree: Tree, limits: Limits | None = None) -> Bytes:
    """Return the archive of a tree.

    Raises:
        IntegrityError: the reader would refuse the archive; the message names the file.
        StorageError: a file cannot be read.
    """
    limits = limits or limits_of(ADAPTER in tree.paths())
    refused = [(path, f"is a {kind}") for path, kind in tree.irregular().items()] + problems(tree.paths(), limits)
    if refused:
        raise _refused_tree(refused)
    return gathered(_gzip(_members(tree, limits)))


def _members(tree: Tree, limits: Limits) -> Iterator[bytes]:
    """Yield the archive of a tree before gzip."""
    size = 0
    for path in sorted(tree.paths()):
        data = gathered(tree.pieces(path))
        size += len(data)
        if size > limits.size:
            raise _refused_tree([(path, f"takes the skill over {limits.size} bytes")])
        yield _header(path, len(data), tree.executable(path))
        yield from pieces_of(data)
        yield b"\0" * (-len(data) % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


def _refused_tree(refused: list[tuple[str, str]]) -> IntegrityError:
    named = "; ".join(f"{path!r} {problem}" for path, problem in refused[:_SHOWN])
    more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    path, problem = refused[0]
    return IntegrityError(
        f"cannot archive: {named}{more}",
        hint="rename or remove what is named",
        member=path,
        reason=problem,
        members=dict(refused),
    )


def _header(path: str, size: int, executable: bool) -> bytes:
    fields = ustar_fields(path)
    assert fields is not None  # the grammar of names refuses what does not fit
    name, prefix = fields
    header = struct.pack(
        "100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x",
        name,
        b"0000755\0" if executable else b"0000644\0",
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % size,
        b"00000000000\0",
        b" " * 8,
        b"0",
        b"",
        b"ustar\0",
        b"00",
        b"",
        b"",
        b"0000000\0",
        b"0000000\0",
        prefix,
    )
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a gzip member of stored blocks (RFC 1951, 3.2.4), which are the same with every library."""
    yield _GZIP_HEADER
    checksum, size, rest = 0, 0, b""
    for piece in pieces:
        checksum, size = zlib.crc32(piece, checksum), size + len(piece)
        rest += piece
        whole = (len(rest) - 1) // _STORED * _STORED  # the last block, which says so, is never empty
        for start in range(0, whole, _STORED):
            yield _stored(rest[start : start + _STORED], last=False)
        rest = rest[max(whole, 0) :]
    yield _stored(rest, last=True)
    yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _stored(block: bytes, *, last: bool) -> bytes:
    return struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block


def compressed(archive: Bytes) -> Bytes:
    """Return an archive of the same content that is smaller, or the archive itself if nothing is smaller.

    Weights hardly get smaller, so little time is spent on a large archive.
    """
    compressor = zlib.compressobj(9 if len(archive) <= IN_MEMORY else 1, zlib.DEFLATED, -zlib.MAX_WBITS)

    def pieces() -> Iterator[bytes]:
        yield _GZIP_HEADER
        yield from map(compressor.compress, _inflated(archive, ADAPTER_LIMITS))
        yield compressor.flush() + archive[-8:]

    return min(archive, gathered(pieces()), key=len)


def archive_digest(data: Bytes, limits: Limits = LIMITS) -> str:
    """Return the hex SHA-256 that names an archive: that of its canonical form, whatever compressed it.

    Raises:
        IntegrityError: it is not gzip, is damaged, or unpacks to too much.
    """
    digest = hashlib.sha256()
    for piece in _gzip(_inflated(data, limits)):
        digest.update(piece)
    return digest.hexdigest()


def read_archive(data: Bytes, limits: Limits = LIMITS) -> MappingTree:
    """Return the tree in an archive after all checks.

    Raises:
        IntegrityError: with the member and the reason in ``details``.
    """
    content = gathered(_inflated(data, limits))
    view = content if isinstance(content, bytes) else memoryview(content)
    files: dict[str, bytes | memoryview] = {}
    members, executables, size = Members(limits), set(), 0
    offset = 0
    while True:
        header = content[offset : offset + _BLOCK]
        if len(header) < _BLOCK:
            raise _refused("", "ends in the middle of a header")
        if not any(header):
            break
        path, length, executable = _member(header)
        problem = members.problem(path)
        if problem:
            raise _refused(path, problem)
        size += length
        if size > limits.size:
            raise _refused(path, f"takes the archive over {limits.size} bytes")
        start, end = offset + _BLOCK, offset + _BLOCK + length
        offset = end + (-length % _BLOCK)
        if offset > len(content):
            raise _refused(path, "is cut off")
        if any(content[end:offset]):
            raise _refused(path, "has hidden bytes after its end")
        files[path] = view[start:end]
        if executable:
            executables.add(path)
    _check_end(content, offset)
    return MappingTree(files, frozenset(executables))


def read_own_archive(data: Bytes) -> MappingTree:
    """Return the tree in an archive of ours that nobody has described: one of a skill, or of a trained adapter.

    Raises:
        IntegrityError: see ``read_archive``.
    """
    try:
        return read_archive(data)
    except IntegrityError:
        with suppress(IntegrityError):
            tree = read_archive(data, ADAPTER_LIMITS)
            if ADAPTER in tree.paths():
                return tree
        raise


def read_any_archive(data: Bytes) -> MappingTree:
    """Return the skill in an archive of ours, or of another program; all of the archive if it has none, or several.

    The skill may be anywhere in it, as in an archive of a whole repository.

    Raises:
        IntegrityError: it is neither.
    """
    tree = read_package(data)
    skills = skill_folders(tree.paths())
    return subtree(tree, skills[0]) if len(skills) == 1 and skills[0] else tree


def read_packed(data: Bytes, name: str) -> MappingTree:
    """Return all files of an archive with this file name, without the one folder that holds all of them.

    ``.tar.gz`` is what ``skillpm pack`` makes, with a SKILL.md at its top, and is read strictly unless all its skills
    are in folders.

    Raises:
        IntegrityError: it is not acceptable; ``details["foreign"]`` if it were under another name.
    """
    if not name.endswith(OWN):
        return read_package(data)
    try:
        return read_own_archive(data)
    except IntegrityError as error:
        with suppress(IntegrityError):
            tree = _foreign(data)
            if all(skill_folders(tree.paths()) or [""]):
                return _without_top(tree)
            error.details["foreign"] = True
        raise


def read_package(data: Bytes) -> MappingTree:
    """Return the tree in an archive of ours, or all of that in one of another program.

    Raises:
        IntegrityError: it is neither.
    """
    with suppress(IntegrityError):
        tree = read_own_archive(data)
        if not {"SKILL.md", ADAPTER}.isdisjoint(tree.paths()):
            return tree
    return _without_top(_foreign(data))


def _foreign(data: Bytes) -> MappingTree:
    """Return the tree that another program has packed. Raises IntegrityError."""
    if len(data) > MAX_FOREIGN:
        raise _refused("", f"is not one of skillpm, and has more than {MAX_FOREIGN:,} bytes")
    try:
        return packed_tree(bytes(data))
    except SealedError as error:
        raise _refused("", str(error)) from None


def _without_top(tree: MappingTree) -> MappingTree:
    """Return a tree without the one folder at its top, if all files are in it."""
    tops = {path.partition("/")[0] for path in tree.paths()}
    return subtree(tree, tops.pop()) if len(tops) == 1 and all("/" in path for path in tree.paths()) else tree


def _refused(path: str, problem: str) -> IntegrityError:
    subject = f"the archive member {path!r}" if path else "the archive"
    return IntegrityError(
        f"{subject} {problem}", hint="do not use this archive, and tell its author", member=path, reason=problem
    )


def _inflated(data: Bytes, limits: Limits) -> Iterator[bytes]:
    """Yield what is in an archive's gzip member. Raises IntegrityError where it is wrong, perhaps at its end."""
    cap, size = limits.size + (limits.files + 20) * 2 * _BLOCK, 0
    if data[:2] != b"\x1f\x8b":
        raise _refused("", "is not gzip" + (": it is HTML" if data[:_BLOCK].lstrip()[:1] == b"<" else ""))
    decompressor = zlib.decompressobj(31)
    try:
        for piece in inflated(data, decompressor, cap):
            size += len(piece)
            yield piece
    except zlib.error as error:
        raise _refused("", f"is damaged: {error}") from None
    if not decompressor.eof:
        raise _refused("", f"unpacks to more than {cap} bytes" if size == cap else "is cut off")
    if decompressor.unused_data:
        raise _refused("", "has bytes after its end")


def _member(header: bytes) -> tuple[str, int, bool]:
    """Read one header into (path, size, executable)."""
    path = _path(header)
    if header[257:265] != b"ustar\x0000":
        raise _refused(path, "is not in the ustar format")
    plain = header[:148] + b" " * 8 + header[156:]
    if _number(header[148:156], path, "checksum") != sum(plain):
        raise _refused(path, "has a wrong checksum")
    kind = header[156:157]
    if kind not in (b"0", b"\0"):
        raise _refused(path, f"is {_KINDS.get(kind, f'of the unknown type {kind!r}')}; only regular files are allowed")
    if any(header[157:257]) or any(header[500:512]):
        raise _refused(path, "has bytes where a regular file has none")
    mode = _number(header[100:108], path, "mode")
    if mode not in _MODES:
        raise _refused(path, f"has the mode {mode:o}; only 644 and 755 are allowed")
    return path, _number(header[124:136], path, "size"), _MODES[mode]


def _path(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    whole = prefix + b"/" + name if prefix else name
    try:
        return whole.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(whole.decode("latin-1"), "has a name that is not UTF-8") from None


def _text(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if any(rest):
        raise _refused(text.decode("latin-1"), "has bytes after the end of its name")
    return text


def _number(field: bytes, path: str, what: str) -> int:
    match = _OCTAL.match(field)
    if match is None:
        raise _refused(path, f"has a {what} that is not octal")
    return int(match[1], 8)


def _check_end(content: Bytes, offset: int) -> None:
    """Refuse anything but at least two blocks of zeros after the last member."""
    if len(content) - offset < 2 * _BLOCK or len(content) % _BLOCK:
        raise _refused("", "is cut off at its end")
    for start in range(offset, len(content), PIECE):
        if content[start : start + PIECE].strip(b"\0"):
            raise _refused("", "has bytes after its end")

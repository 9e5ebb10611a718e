"""Git objects and the index as bytes, written and read without starting git.

Source: ``gitformat-index(5)`` (version 2 and 3) and ``gitformat-pack(5)`` (version 2, without deltas).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping

PERSON = "Kim Doe <kim@example.org>"
FIRST_SECOND = 1_700_000_000  # of the clock in every world
Files = Mapping[str, str]
"""Contents of a tree by path."""

_ENTRY = struct.Struct(">40s20sH")  # times, device, owner and size; the object; flags
_EXTENDED = 0x4000
_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


class ObjectStore:
    """Objects that are collected for one pack."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[int, bytes]] = {}

    def commit(self, files: Files, parents: Iterable[str] = (), message: str = "work", number: int = 0) -> str:
        """Write a commit with its trees and blobs; return its identity. ``number`` is seconds of its clock."""
        when = f"{PERSON} {FIRST_SECOND + number} +0000"
        lines = [f"tree {self.tree(files)}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {when}", f"committer {when}", "", f"{message}\n"]
        return self._write("commit", "\n".join(lines).encode())

    def tag(self, name: str, commit: str) -> str:
        """Write an annotated tag."""
        lines = [
            f"object {commit}",
            "type commit",
            f"tag {name}",
            f"tagger {PERSON} {FIRST_SECOND} +0000",
            "",
            f"{name}\n",
        ]
        return self._write("tag", "\n".join(lines).encode())

    def blob(self, text: str) -> str:
        """Write the content of a file."""
        return self._write("blob", text.encode())

    def tree(self, files: Files) -> str:
        """Write the trees of files."""
        folders: dict[str, dict[str, str]] = {}
        entries: list[tuple[str, bytes]] = []
        for path, text in files.items():
            first, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(first, {})[rest] = text
            else:
                entries.append((first, b"100644 %s\0" % first.encode() + bytes.fromhex(self.blob(text))))
        for name, inside in folders.items():  # git sorts a folder as if its name ended in `/`
            entries.append((f"{name}/", b"40000 %s\0" % name.encode() + bytes.fromhex(self.tree(inside))))
        return self._write("tree", b"".join(entry for _, entry in sorted(entries)))

    def index(self, files: Files) -> bytes:
        """Return an index of files. It knows no times, so git compares contents."""
        entries = []
        for path, text in sorted(files.items(), key=lambda item: item[0].encode()):
            name = path.encode()
            stat = struct.pack(">10I", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0)
            entry = _ENTRY.pack(stat, bytes.fromhex(self.blob(text)), min(len(name), 0xFFF)) + name
            entries.append(entry + b"\0" * (8 - len(entry) % 8))
        body = b"DIRC" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
        return body + hashlib.sha1(body, usedforsecurity=False).digest()

    def pack(self) -> tuple[bytes, bytes]:
        """Return a pack of all objects, and its index."""
        pack, rows = bytearray(b"PACK" + struct.pack(">II", 2, len(self._objects))), list[tuple[bytes, int, int]]()
        for name, (kind, data) in sorted(self._objects.items()):
            size, head = len(data) >> 4, bytearray([kind << 4 | len(data) & 15])
            while size:
                head[-1] |= 0x80
                head.append(size & 0x7F)
                size >>= 7
            entry = bytes(head) + zlib.compress(data, 1)
            rows.append((bytes.fromhex(name), zlib.crc32(entry), len(pack)))
            pack += entry
        pack += hashlib.sha1(pack, usedforsecurity=False).digest()
        counts = [bisect_right(rows, first, key=lambda row: row[0][0]) for first in range(256)]
        index = b"\xfftOc" + struct.pack(">I256I", 2, *counts) + b"".join(name for name, _, _ in rows)
        index += struct.pack(f">{len(rows)}I", *(checksum for _, checksum, _ in rows))
        index += struct.pack(f">{len(rows)}I", *(offset for _, _, offset in rows)) + bytes(pack[-20:])
        return bytes(pack), index + hashlib.sha1(index, usedforsecurity=False).digest()

    def _write(self, kind: str, data: bytes) -> str:
        content = b"%s %d\0" % (kind.encode(), len(data)) + data
        name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self._objects[name] = (_KINDS[kind], data)
        return name


def index_entries(data: bytes) -> list[tuple[str, int, int, str, bool]]:
    """Return path, stage, mode, object and whether it is only intended, for each entry of an index."""
    version, count = struct.unpack_from(">II", data, 4)
    entries, place = [], 12
    for _ in range(count):
        stat, name, flags = _ENTRY.unpack_from(data, place)
        start = place + _ENTRY.size
        more = struct.unpack_from(">H", data, start)[0] if version == 3 and flags & _EXTENDED else 0
        start += 2 * bool(version == 3 and flags & _EXTENDED)
        end = data.index(b"\0", start)
        mode = struct.unpack_from(">I", stat, 24)[0]
        entries.append((data[start:end].decode(), flags >> 12 & 3, mode, name.hex(), bool(more & 0x2000)))
        place += (end - place + 8) // 8 * 8
    return entries

"""An append-only log as static files: a Merkle tree (RFC 6962) cut into tiles (C2SP tlog-tiles).

``tile/L/N`` has 256 hashes of level 8 L, ``tile/L/N.p/W`` the W hashes of an unfinished tile, ``tile/entries/N`` the
entries themselves. A finished tile never changes. Every proof is made out of tiles, and checked without trust in them:

- An inclusion proof leads from one entry to a root. So the entry is in the log that has this root.
- A consistency proof leads from a root to a later root. So nothing that was in the log was changed or removed.

Sources: RFC 6962 2.1 (hashes and proofs), RFC 9162 2.1.3.2 and 2.1.4.2 (checks), C2SP tlog-tiles and tlog-proof.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH = 256  # hashes of a whole tile, or entries of a whole bundle
_HASH = 32  # bytes of a hash
_PROOF = "c2sp.org/tlog-proof@v1"
_LONGEST_PROOF = 64  # hashes, for 2^64 entries


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile, or with the level ``entries`` of a bundle of entries."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}{'' if width == WIDTH else f'.p/{width}'}"


class TileLog:
    """The tree of the first ``size`` entries; ``read`` returns the bytes of a tile's path, or None."""

    def __init__(self, size: int, read: Callable[[str], bytes | None]) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def root(self) -> bytes:
        """Return the root of the tree. Raises ValueError if a tile is missing or damaged, as all methods do."""
        return self._subtree(0, self.size) if self.size else hashlib.sha256().digest()

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion proof of an entry."""
        proof: list[bytes] = []
        first, last = 0, self.size
        while last - first > 1:
            middle = first + _split(last - first)
            if index < middle:
                proof.append(self._subtree(middle, last))
                last = middle
            else:
                proof.append(self._subtree(first, middle))
                first = middle
        return proof[::-1]

    def consistency(self, older: int) -> list[bytes]:
        """Return the proof that the first ``older`` entries are the beginning of this log; ``older`` is at least 1."""
        proof: list[bytes] = []
        first, last, known = 0, self.size, True
        while last != older:
            middle = first + _split(last - first)
            if older <= middle:
                proof.append(self._subtree(middle, last))
                last = middle
            else:
                proof.append(self._subtree(first, middle))
                first, known = middle, False
        return proof[::-1] if known else [self._subtree(first, last), *proof[::-1]]

    def _subtree(self, first: int, last: int) -> bytes:
        count = last - first
        if count & (count - 1) or first % count:
            middle = first + _split(count)
            return node_hash(self._subtree(first, middle), self._subtree(middle, last))
        level, height = divmod(count.bit_length() - 1, WIDTH.bit_length() - 1)
        start = first >> 8 * level
        tile = self._tile(level, start // WIDTH)
        return merged(tile[start % WIDTH : start % WIDTH + (1 << height)])

    def _tile(self, level: int, number: int) -> list[bytes]:
        if (level, number) not in self._tiles:
            width = min(WIDTH, (self.size >> 8 * level) - number * WIDTH)
            paths = dict.fromkeys((tile_path(level, number, width), tile_path(level, number)))
            data = next((data for path in paths if (data := self._read(path)) is not None), None)
            if data is None or len(data) < width * _HASH:
                raise ValueError(f"{tile_path(level, number, width)} is missing or too short")
            self._tiles[level, number] = hashes(data[: width * _HASH])
        return self._tiles[level, number]


def extend(log: TileLog, entries: Sequence[bytes], write: Callable[[str, bytes], None]) -> TileLog:
    """Write the tiles of further entries, each at most 65,535 bytes; return the longer log.

    The caller then signs its root.

    Tiles beyond the signed size, which a killed writer may have left, are replaced.
    """
    # A finished tile of a level becomes one hash of the level above, so only the unfinished last tile of each level is
    # read again: the work grows with the new entries and the height of the tree, not with the log. Entries and lower
    # levels are written before higher ones. Nothing refers to them before the root of the new size is signed, so a
    # writer that is killed in between leaves the signed log whole, and the next writer makes the same paths again.
    read = log._read
    old = entries_of(log.size, log.size // WIDTH, read) if log.size % WIDTH else []
    for number, bundle in _chunks([*old, *entries], log.size // WIDTH):
        data = b"".join(len(entry).to_bytes(2) + entry for entry in bundle)
        write(tile_path("entries", number, len(bundle)), data)
    level, count, fresh = 0, log.size, [leaf_hash(entry) for entry in entries]
    while fresh:
        tail = log._tile(level, count // WIDTH) if count % WIDTH else []
        chunks = list(_chunks([*tail, *fresh], count // WIDTH))
        for number, tile in chunks:
            write(tile_path(level, number, len(tile)), b"".join(tile))
        level, count, fresh = level + 1, count // WIDTH, [merged(tile) for _, tile in chunks if len(tile) == WIDTH]
    return TileLog(log.size + len(entries), read)


def entries_of(size: int, number: int, read: Callable[[str], bytes | None]) -> list[bytes]:
    """Return the entries of one bundle. Raises ValueError if it is missing or damaged."""
    width = min(WIDTH, size - number * WIDTH)
    path = tile_path("entries", number, width)
    data, entries = read(path), []
    for _ in range(width):
        length = int.from_bytes((data or b"")[:2])
        entries.append((data or b"")[2 : 2 + length])
        if len(entries[-1]) < length or not length:
            raise ValueError(f"{path} is missing or too short")
        data = (data or b"")[2 + length :]
    return entries


def hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [data[place : place + _HASH] for place in range(0, len(data), _HASH)]


def merged(row: Sequence[bytes]) -> bytes:
    """Return the root of a whole subtree over a row of hashes; their number is a power of two."""
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]


def _split(count: int) -> int:
    """Return the largest power of two below a count."""
    return 1 << (count - 1).bit_length() - 1


def _chunks(items: Sequence[bytes], first: int) -> list[tuple[int, Sequence[bytes]]]:
    return [(first + place // WIDTH, items[place : place + WIDTH]) for place in range(0, len(items), WIDTH)]


def included_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root to which an inclusion proof leads. Raises ValueError if the proof has another length."""
    node, last, root = index, size - 1, leaf
    if not 0 <= index < size:
        raise ValueError("the index is not in the log")
    for item in proof:
        if not last:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            root = node_hash(item, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, item)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return root


def is_consistent(older: tuple[int, bytes], newer: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Does a consistency proof show that a log has grown? Both are a size and a root."""
    (first, first_root), (second, second_root) = older, newer
    if first == second or not first:
        return first_root == second_root if first == second else True
    if first > second:
        return False
    items = list(proof) if first & (first - 1) else [first_root, *proof]
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not items:
        return False
    old = new = items[0]
    for item in items[1:]:
        if not last:
            return False
        if node & 1 or node == last:
            old, new = node_hash(item, old), node_hash(item, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, item)
        node, last = node >> 1, last >> 1
    return (old, new, last) == (first_root, second_root, 0)


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The proof that an entry is in a log (C2SP tlog-proof): its index, the hashes, and the signed checkpoint."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def __str__(self) -> str:
        lines = [_PROOF, f"index {self.index}", *(base64.b64encode(item).decode() for item in self.hashes)]
        return "\n".join([*lines, "", self.checkpoint])

    @classmethod
    def parse(cls, text: str) -> InclusionProof:
        """Read the text. Raises ValueError."""
        head, _, checkpoint = text.partition("\n\n")
        kind, *lines = head.split("\n")
        if lines and lines[0].startswith("extra "):
            lines = lines[1:]
        number = re.fullmatch(r"index (0|[1-9][0-9]{0,15})", lines[0] if lines else "")
        items = tuple(base64.b64decode(line, validate=True) for line in lines[1 : _LONGEST_PROOF + 2])
        if kind != _PROOF or number is None or len(items) > _LONGEST_PROOF or any(len(item) != _HASH for item in items):
            raise ValueError("it is not an inclusion proof")
        return cls(int(number[1]), items, checkpoint)

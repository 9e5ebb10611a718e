"""Checkpoints of a log: signed notes (C2SP signed-note, tlog-checkpoint).

A checkpoint says how many entries a log has and what the root of their hashes is. Each signature has a line of its own.
Lines of other signers, such as the cosignatures of witnesses, are left alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from skillpm.model.key import PrivateKey, PublicKey

_LONGEST = 65_536  # characters of a note
_ED25519 = b"\x01"  # the kind of our signatures
_LINE = re.compile(r"— (\S{1,512}) ([A-Za-z0-9+/]{1,2048}={0,2})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log.

    Attributes:
        root: the root of the Merkle tree over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, keys: Iterable[PrivateKey]) -> str:
        """Return the note with a signature of each key under the log's name."""
        signatures = ((_key_id(self.origin, _ED25519, key.public), key.sign(self.text.encode())) for key in keys)
        lines = (
            f"— {self.origin} {base64.b64encode(number + signature).decode()}\n" for number, signature in signatures
        )
        return f"{self.text}\n{''.join(lines)}"


def open_checkpoint(note: str, origin: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """Return the checkpoint in a note that one of these keys signed.

    Raises:
        ValueError: it is not a checkpoint of this log, or none of the keys signed it.
    """
    text, signatures = _parts(note)
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != origin or not re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]):
        raise ValueError(f"it is not a checkpoint of the log {origin[:80]}")
    root = base64.b64decode(lines[2], validate=True)
    if len(root) != hashlib.sha256().digest_size:
        raise ValueError("its root does not have 32 bytes")
    for key in keys:
        start = _key_id(origin, _ED25519, key)
        for name, data in signatures:
            if name == origin and data[:4] == start and key.verifies(data[4:], text.encode()):
                return Checkpoint(origin, int(lines[1]), root)
    raise ValueError("its log did not sign it")


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, separator, rest = note.rpartition("\n\n")
    if not separator or len(note) > _LONGEST or not rest.endswith("\n"):
        raise ValueError("it is not a signed note")
    matches = [_LINE.fullmatch(line) for line in rest[:-1].split("\n")]
    return f"{text}\n", [(match[1], base64.b64decode(match[2])) for match in matches if match]


def _key_id(name: str, kind: bytes, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + key.raw).digest()[:4]

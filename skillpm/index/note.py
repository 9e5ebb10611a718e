"""Checkpoints of a log: signed notes (C2SP signed-note, tlog-checkpoint).

A checkpoint says how many entries a log has and what the root of their hashes is. Each signature has a line of its own.
A witness adds a line with a cosignature (C2SP tlog-cosignature): it has seen the head at a time, and it continues the
head that it saw before. Lines of other signers are left alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from skillpm.model.key import PrivateKey, PublicKey

_LONGEST = 65_536  # characters of a note
_ED25519, _COSIGNATURE = b"\x01", b"\x04"  # the kinds of our signatures and of those of witnesses
_TIME, _SIGNATURE = 8, 64  # bytes
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

    @classmethod
    def parse(cls, note: str) -> Checkpoint:
        """Read a note whose signatures are not checked. Raises ValueError."""
        lines = _parts(note)[0].split("\n")
        if len(lines) < 4 or not re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]):
            raise ValueError("it is not a checkpoint")
        root = base64.b64decode(lines[2], validate=True)
        if len(root) != hashlib.sha256().digest_size:
            raise ValueError("its root does not have 32 bytes")
        return cls(lines[0], int(lines[1]), root)

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
    head = Checkpoint.parse(note)
    if head.origin != origin:
        raise ValueError(f"it is not a checkpoint of the log {origin[:80]}")
    for key in keys:
        start = _key_id(origin, _ED25519, key)
        for name, data in signatures:
            if name == origin and data[:4] == start and key.verifies(data[4:], text.encode()):
                return head
    raise ValueError("its log did not sign it")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The key of a witness."""

    name: str
    public: PublicKey

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """Read the text of a verifier's key, ``NAME+HASH+KEY``. Raises ValueError."""
        match = re.fullmatch(r"([^\s+]{1,512})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{8,200})", text)
        data = base64.b64decode(match[3], validate=True) if match else b""
        if match is None or data[:1] != _COSIGNATURE or len(data) != 33:
            raise ValueError("a witness's key is NAME+HASH+KEY, of the kind Ed25519 cosignature")
        key = PublicKey(data[1:])
        if _key_id(match[1], _COSIGNATURE, key).hex() != match[2]:
            raise ValueError(f"the hash in the key of {match[1]} is not that of the key")
        return cls(match[1], key)

    def __str__(self) -> str:
        data = base64.b64encode(_COSIGNATURE + self.public.raw).decode()
        return f"{self.name}+{_key_id(self.name, _COSIGNATURE, self.public).hex()}+{data}"

    def signed(self, note: str) -> bool:
        """Did the witness sign the head in a note? Raises ValueError if it is not a note."""
        text, signatures = _parts(note)
        start = _key_id(self.name, _COSIGNATURE, self.public)
        return any(
            name == self.name
            and data[:4] == start
            and len(data) == len(start) + _TIME + _SIGNATURE
            and self.public.verifies(data[4 + _TIME :], _cosigned(text, int.from_bytes(data[4 : 4 + _TIME])))
            for name, data in signatures
        )


def missing(note: str, keys: Iterable[WitnessKey]) -> list[str]:
    """Return the names of the witnesses that did not sign a head."""
    return [key.name for key in keys if not key.signed(note)]


def without_witnesses(note: str) -> str:
    """Return a note with the signatures of its own log alone. Raises ValueError if it is not a note."""
    text = _parts(note)[0]
    origin, _, _ = text.partition("\n")
    return f"{text}\n{signature_lines(note, origin)}"


def with_witnesses(note: str, others: Iterable[str]) -> str:
    """Return a note with the signatures of witnesses that other notes have of the same head. Raises ValueError."""
    text = _parts(note)[0]
    origin, _, _ = text.partition("\n")
    lines = dict.fromkeys(note.split("\n"))
    for other in others:
        for line in other.split("\n") if other.startswith(f"{text}\n") else ():
            match = _LINE.fullmatch(line)
            if match and match[1] != origin and line not in lines:
                lines[line] = None
                note += f"{line}\n"
    return note


def signature_lines(text: str, name: str) -> str:
    """Return the lines of a signer among some lines of signatures."""
    matches = (_LINE.fullmatch(line) for line in text.split("\n"))
    return "".join(f"{match[0]}\n" for match in matches if match and match[1] == name)


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, separator, rest = note.rpartition("\n\n")
    if not separator or len(note) > _LONGEST or not rest.endswith("\n"):
        raise ValueError("it is not a signed note")
    matches = [_LINE.fullmatch(line) for line in rest[:-1].split("\n")]
    return f"{text}\n", [(match[1], base64.b64decode(match[2])) for match in matches if match]


def _key_id(name: str, kind: bytes, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + key.raw).digest()[:4]

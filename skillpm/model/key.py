"""Ed25519 keys (RFC 8032), as locks, pages and people write them: ``ed25519:`` and 64 hex digits.

The text holds the whole key, so whoever reads a signature needs no directory of keys to check it. ``cryptography`` is
imported by the methods that compute: most commands meet no signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skillpm.formats.light import TextValue

_TEXT = re.compile(r"ed25519:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PublicKey(TextValue):
    """The key that checks signatures; ``raw`` has its 32 bytes."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read the text. Raises ValueError."""
        if not _TEXT.fullmatch(text):
            raise ValueError("not `ed25519:` and 64 hex digits")
        return cls(bytes.fromhex(text.partition(":")[2]))

    def __str__(self) -> str:
        return f"ed25519:{self.raw.hex()}"

    @property
    def short(self) -> str:
        """The first digits, for messages."""
        return f"ed25519:{self.raw.hex()[:16]}…"

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Did the private key of this one sign the data?"""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The key that signs; ``seed`` has its 32 bytes and never appears in a message."""

    seed: bytes

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return PublicKey(Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the data, 64 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)

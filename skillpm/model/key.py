"""Who signs: Ed25519 keys (RFC 8032), and identities that Sigstore certifies; as locks, pages and people write them.

A key is ``ed25519:`` and 64 hex digits. The text holds the whole key, so whoever reads a signature needs no directory
of keys to check it. An identity is ``sigstore:ISSUER#SUBJECT``. ``cryptography`` is imported by the methods that
compute: most commands meet no signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skillpm.formats.light import TextValue

_TEXT = re.compile(r"ed25519:[0-9a-f]{64}")
_WORKFLOWS = "/.github/workflows/"
_IDENTITY = re.compile(r"sigstore:(https?://[!-~]+?)#((?!@refs/)[!-~]+)")


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
class Identity(TextValue):
    """Whom an OIDC issuer named to Sigstore: a workflow by its address, or a person by an address of mail."""

    issuer: str
    subject: str

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Read the text. Raises ValueError."""
        found = _IDENTITY.fullmatch(text)
        if found is None:
            raise ValueError("not `sigstore:ISSUER#SUBJECT`")
        return cls(*found.groups())

    def __str__(self) -> str:
        return f"sigstore:{self.issuer}#{self.subject}"

    @property
    def short(self) -> str:
        """The whole text, for messages: who it is stands at its end."""
        return str(self)

    @property
    def repository(self) -> str:
        """The repository of a workflow of GitHub; empty for others."""
        return self.subject.partition(_WORKFLOWS)[0] if _WORKFLOWS in self.subject else ""

    @property
    def at_any_ref(self) -> Identity:
        """A workflow without the branch or tag that it ran for, which differs with every release."""
        return Identity(self.issuer, self.subject.partition("@refs/")[0])


Signer = PublicKey | Identity


def read_signer(text: str) -> Signer:
    """Read a key or an identity. Raises ValueError."""
    return Identity.parse(text) if text.startswith("sigstore:") else PublicKey.parse(text)


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

"""The keys of a person: their own, which sign, and those of others under a name that the person chose.

``NAME.pub`` has the text of a public key, or of an identity that Sigstore certifies. ``NAME.pem`` beside it has the
private key (PKCS #8, not encrypted, mode 600); where it is missing, the key is somebody else's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.model.key import Identity, PrivateKey, PublicKey, Signer, read_signer
from skillpm.storage.files import read_text, storage_error, write_new

DEFAULT = "default"  # the name of the key that signs unless another one is named
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key in the folder; ``own`` says whether its private half is there too."""

    name: str
    public: Signer
    own: bool


class Keys:
    """The folder of keys. It is made with the first key."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def all(self) -> list[NamedKey]:
        """Return every key, by name. Raises UsageError if a file is damaged, StorageError."""
        paths = sorted(self.root.glob("*.pub")) if self.root.is_dir() else []
        return [
            NamedKey(path.stem, read_public(read_text(path), path), path.with_suffix(".pem").is_file())
            for path in paths
        ]

    def title(self, key: Signer) -> str:
        """Return a key for messages, with its name here if it has one."""
        name = next((item.name for item in self.all() if item.public == key), "")
        return f"{key.short} ({name})" if name else key.short

    def private(self, name: str) -> PrivateKey:
        """Return an own key by its name. Raises UsageError if there is none, StorageError."""
        path = self.root / f"{name}.pem"
        if not _NAME.fullmatch(name) or not path.is_file():
            raise UsageError(
                f"there is no own key `{name[:64]}`", hint="see `skillpm key list`, or run `skillpm key create NAME`"
            )
        return read_private(read_text(path), str(path))

    def private_of(self, keys: set[PublicKey]) -> list[PrivateKey]:
        """Return the own keys among these, by name. Raises UsageError, StorageError."""
        return [self.private(item.name) for item in self.all() if item.own and item.public in keys]

    @property
    def lacks_default(self) -> bool:
        """Would ``default`` make a key?"""
        return not any((self.root / f"{DEFAULT}{suffix}").exists() for suffix in (".pub", ".pem"))

    def default(self) -> tuple[PrivateKey, bool]:
        """Return the default key, and whether it was made now. Of many processes that need it at once, one makes it.

        Raises:
            UsageError: the name is that of somebody else's key, or a file is damaged.
            StorageError: the disk refused.
        """
        private, public = self.root / f"{DEFAULT}.pem", self.root / f"{DEFAULT}.pub"
        is_new = self.lacks_default and self._written(private.name, pem(PrivateKey(os.urandom(32))))
        key = self.private(DEFAULT)
        if not public.exists():  # its maker is about to write it, or was ended before
            self._written(public.name, f"{key.public}\n")
        return key, is_new

    def create(self, name: str = DEFAULT) -> PrivateKey:
        """Make a new key. Raises UsageError if the name is taken, StorageError."""
        return self.add(name, PrivateKey(os.urandom(32)))

    def add(self, name: str, key: PrivateKey) -> PrivateKey:
        """Add an own key. Raises UsageError if the name is taken or is not a name, StorageError."""
        self._refuse(name)
        self._write(f"{name}.pem", pem(key))
        self._write(f"{name}.pub", f"{key.public}\n")
        return key

    def trust(self, name: str, key: Signer) -> None:
        """Add somebody else's key or identity. Raises UsageError if the name is taken or is no name, StorageError."""
        self._refuse(name)
        self._write(f"{name}.pub", f"{key}\n")

    def _refuse(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"`{name[:64]}` is not a name of a key", hint="use 1 to 64 of a-z, 0-9, `.`, `_`, `@` and `-`"
            )
        if any((self.root / f"{name}{suffix}").exists() for suffix in (".pub", ".pem")):
            raise UsageError(f"there is a key `{name}` already", hint="choose another name")

    def _write(self, name: str, text: str) -> None:
        if not self._written(name, text):
            raise UsageError(f"{self.root / name} is there already", hint="choose another name")

    def _written(self, name: str, text: str) -> bool:
        """Write a file, unless there is one of that name: then return False."""
        target = self.root / name
        draft = self.root / f".{name}.{os.urandom(8).hex()}.tmp"
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_new(draft, text.encode(), mode=0o600, durable=True)
            try:
                os.link(draft, target)  # unlike a rename, it never replaces the key of another process
            finally:
                draft.unlink()
        except FileExistsError:
            return False
        except OSError as error:
            raise storage_error("write", target, error) from None
        return True


def pem(key: PrivateKey) -> str:
    """Return a private key in PKCS #8, PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def read_private(text: str, place: str) -> PrivateKey:
    """Read a private key in PEM, without a password. Raises UsageError; the message never has the key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode("utf-8", "replace"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(
            f"{place} is not an Ed25519 key in PEM without a password", hint="make one with `skillpm key create NAME`"
        )
    return PrivateKey(key.private_bytes_raw())


def read_public(text: str, path: Path | None = None) -> Signer:
    """Read a public key or an identity as a person types it, or as it is in a file. Raises UsageError.

    An identity counts at any ref, as that of a release does.
    """
    try:
        signer = read_signer(text.strip())
    except ValueError as error:
        what, hint = f"`{text[:80]}`", "`skillpm key export` prints the key of a publisher"
        if path is not None:
            what, hint = str(path), "remove the file, then add the key again"
        raise UsageError(f"{what} is not a public key: {error}", hint=hint) from None
    return signer.at_any_ref if isinstance(signer, Identity) else signer

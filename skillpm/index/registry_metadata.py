"""The writer of a registry's metadata (The Update Framework 1.0): which content each page has, signed.

The pages are the targets. They are spread over bins, so that a publication signs one bin and not every name. A page has
a copy whose name begins with its digest (consistent snapshots), so a client that has read an older snapshot finds the
older page. A snapshot lists the versions of all bins, and the timestamp names the snapshot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import SignedSerializer

from skillpm.errors import RegistryError
from skillpm.index.paths import page_path
from skillpm.index.signed_pages import METADATA, TIMESTAMP, copy_path
from skillpm.model.key import PrivateKey, PublicKey

ROOT_DAYS, ROLE_DAYS = 730, 365  # for which the root and what the timestamp leads to are valid
_BITS, _MORE_BITS = 4, 4  # 16 bins at first, then 256, 4096, …
FULL = 512  # pages of a bin on average; at twice as many in one, everything is spread again
_ROLES = ("targets", "snapshot", "timestamp")


class RegistryMetadata:
    """The metadata of one folder, without the root.

    ``read`` returns the bytes of a path or None, ``put`` writes a path that is not flushed to the disk yet, and the
    keys sign every role.
    """

    def __init__(
        self, read: Callable[[str], bytes | None], put: Callable[[str, bytes], None], keys: Sequence[PrivateKey]
    ) -> None:
        self._read = read
        self._put = put
        self._keys = keys
        self._roles_read: dict[str, Metadata[Targets]] = {}
        head: Metadata[Timestamp] | None = self._load(TIMESTAMP)
        self._version, self._snapshot_version, self._expires = 0, 0, expiry(0)
        if head is not None:
            self._version, self._snapshot_version = head.signed.version, head.signed.snapshot_meta.version
            self._expires = head.signed.expires
        present: Metadata[Snapshot] | None = self._load(f"{self._snapshot_version}.snapshot.json")
        self._snapshot = present or Metadata(Snapshot(meta={}))

    def lists(self, name: str, text: str) -> bool:
        """Do clients see exactly this page? Raises RegistryError if the metadata is damaged, as all methods do."""
        if not self._version:
            return False
        role = _roles(self._targets()).get_role_for_target(page_path(name))
        target = self._role(role).signed.targets.get(page_path(name))
        return target is not None and target.hashes.get("sha256") == hashlib.sha256(text.encode()).hexdigest()

    def is_due(self, days: int) -> bool:
        """Is half of the time of the timestamp, which is valid for so many days, or of another role over?"""
        return self._expires < expiry(days) - timedelta(days=days / 2) or self.is_aging

    @property
    def is_aging(self) -> bool:
        """Is half of the time of a role over, apart from the timestamp?"""
        roles = ("targets", *_roles(self._targets()).get_roles())
        ends = [self._snapshot.signed.expires, *(self._role(role).signed.expires for role in roles)]
        return min(ends) < expiry(ROLE_DAYS // 2)

    def update(self, texts: Mapping[str, str]) -> bool:
        """Write pages and what leads to them, except the timestamp; return whether a bin is full."""
        roles = _roles(self._targets())
        bins = {role: self._role(role) for role in {roles.get_role_for_target(page_path(name)) for name in texts}}
        self._write_pages(texts, roles, bins)
        self._write_snapshot()
        return any(len(item.signed.targets) > 2 * FULL for item in bins.values())

    def rebuild(self, texts: Mapping[str, str]) -> None:
        """Write all pages and every role except the timestamp, in bins enough for them."""
        bits = _BITS
        while len(texts) > FULL << bits:
            bits += _MORE_BITS
        keys = {key.keyid: key for key in map(tuf_key, [key.public for key in self._keys])}
        roles = SuccinctRoles(list(keys), 1, bits, f"pages{bits}")
        self._write_pages(texts, roles, {role: Metadata(Targets()) for role in roles.get_roles()})
        self._write_role("targets", Metadata(Targets(delegations=Delegations(keys, succinct_roles=roles))))
        self._write_snapshot()

    def timestamp(self, days: int) -> bytes:
        """Return the next timestamp, which makes all that was written visible."""
        self._version += 1
        meta = MetaFile(self._snapshot.signed.version)
        head = Timestamp(version=self._version, expires=expiry(days), snapshot_meta=meta)
        return signed(Metadata(head), self._keys)

    def files(self) -> set[str]:
        """Return the paths of the copies and of the metadata that clients may need now, without the roots."""
        meta = self._snapshot.signed.meta
        names = [f"{item.version}.{role}" for role, item in meta.items()]
        paths = {f"{METADATA}/{name}" for name in (*names, f"{self._snapshot.signed.version}.snapshot.json", TIMESTAMP)}
        for role in _roles(self._targets()).get_roles():
            for path, target in self._role(role).signed.targets.items():
                paths.add(copy_path(path, target.hashes["sha256"]))
        return paths

    def _write_pages(
        self, texts: Mapping[str, str], roles: SuccinctRoles, bins: Mapping[str, Metadata[Targets]]
    ) -> None:
        for name, text in texts.items():
            data, path = text.encode(), page_path(name)
            digest = hashlib.sha256(data).hexdigest()
            target = TargetFile(len(data), {"sha256": digest}, path)
            bins[roles.get_role_for_target(path)].signed.targets[path] = target
            self._put(copy_path(path, digest), data)
        for role, item in bins.items():
            self._write_role(role, item)

    def _write_role(self, role: str, item: Metadata[Targets]) -> None:
        """Write the next version of a role, and list it in the snapshot."""
        present = self._snapshot.signed.meta.get(f"{role}.json")
        item.signed.version = present.version + 1 if present else 1
        item.signed.expires = expiry(ROLE_DAYS)
        self._roles_read[role] = item
        self._put(f"{METADATA}/{item.signed.version}.{role}.json", signed(item, self._keys))
        self._snapshot.signed.meta[f"{role}.json"] = MetaFile(item.signed.version)

    def _write_snapshot(self) -> None:
        self._snapshot.signed.version = self._snapshot_version + 1
        self._snapshot.signed.expires = expiry(ROLE_DAYS)
        self._put(f"{METADATA}/{self._snapshot.signed.version}.snapshot.json", signed(self._snapshot, self._keys))

    def _targets(self) -> Metadata[Targets]:
        return self._role("targets")

    def _role(self, role: str) -> Metadata[Targets]:
        if role not in self._roles_read:
            present = self._snapshot.signed.meta.get(f"{role}.json")
            item: Metadata[Targets] | None = self._load(f"{present.version}.{role}.json") if present else None
            if item is None:
                raise RegistryError(f"the registry's metadata has no {role}", hint="restore metadata/ from a backup")
            self._roles_read[role] = item
        return self._roles_read[role]

    def _load(self, name: str) -> Any:
        data = self._read(f"{METADATA}/{name}")
        try:
            return Metadata.from_bytes(data) if data is not None else None
        except (RepositoryError, ValueError) as error:
            raise RegistryError(
                f"metadata/{name} is damaged: {error}", hint="restore metadata/ from a backup"
            ) from None


def new_root(root_keys: Sequence[PublicKey], threshold: int, online: PublicKey) -> Metadata[Root]:
    """Return the first root, unsigned: ``threshold`` of the root keys change keys, and ``online`` signs all else."""
    root = Metadata(Root(expires=expiry(ROOT_DAYS), consistent_snapshot=True))
    for key in root_keys:
        root.signed.add_key(tuf_key(key), "root")
    root.signed.roles["root"].threshold = threshold
    for role in _ROLES:
        root.signed.add_key(tuf_key(online), role)
    return root


def next_root(root: Metadata[Root], online: PublicKey) -> Metadata[Root]:
    """Return the following root, with another online key, not yet signed."""
    for role in _ROLES:
        for keyid in list(root.signed.roles[role].keyids):
            root.signed.revoke_key(keyid, role)
        root.signed.add_key(tuf_key(online), role)
    root.signed.version += 1
    root.signed.expires = expiry(ROOT_DAYS)
    return root


def keys_of(root: Metadata[Root], role: str) -> set[PublicKey]:
    """Return the keys of a role. Keys of other kinds than Ed25519 are left out."""
    keys = [root.signed.keys[keyid] for keyid in root.signed.roles[role].keyids]
    return {PublicKey(bytes.fromhex(key.keyval["public"])) for key in keys if key.keytype == "ed25519"}


def tuf_key(key: PublicKey) -> Key:
    """Return a key as the metadata has it."""
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw))


def signed(metadata: Metadata[Any], keys: Sequence[PrivateKey]) -> bytes:
    """Return the bytes of metadata with the signatures of these keys alone."""
    metadata.signatures.clear()
    for key in keys:
        metadata.sign(_signer(key), append=True, signed_serializer=_Canonical())
    return metadata.to_bytes()


@lru_cache(maxsize=8)
def _signer(key: PrivateKey) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(key.seed))


class _Canonical(SignedSerializer):
    """Canonical JSON. The metadata has no control characters, so ``json`` writes it, ten times faster than tuf's."""

    def serialize(self, signed_obj: Signed) -> bytes:
        """Return the bytes that are signed."""
        document = signed_obj.to_dict()
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def expiry(days: int) -> datetime:
    """Return the end of so many days from now, in whole seconds of UTC."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _roles(targets: Metadata[Targets]) -> SuccinctRoles:
    roles = targets.signed.delegations.succinct_roles if targets.signed.delegations else None
    if roles is None:
        raise RegistryError("the registry's metadata has no bins", hint="restore metadata/ from a backup")
    return roles

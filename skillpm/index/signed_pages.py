"""The pages of a signed registry, as a client believes them.

The Update Framework (python-tuf) says which content a page has: its metadata is fresh, no older than what was seen
before, of one snapshot, and signed by the keys of a root. The first root is pinned at the first use. Each release has a
proof that the registry's log has it. The log of today contains the log of the last visit; if it does not, the registry
shows different people different logs.

``tuf`` is imported here only, so only signed registries pay for it. What was seen is kept among skillpm's data, one
folder for each registry, under a lock.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from skillpm.errors import IntegrityError, RegistryError, SkillpmError
from skillpm.index.note import Checkpoint, WitnessKey, missing, open_checkpoint
from skillpm.index.pages import MAX_PAGE
from skillpm.index.paths import page_path
from skillpm.index.tile_log import InclusionProof, TileLog, included_root, is_consistent, leaf_hash
from skillpm.model.release import Release
from skillpm.storage.files import DiskErrors, write_atomic
from skillpm.storage.process_lock import locked

if TYPE_CHECKING:
    from tuf.ngclient import Updater


METADATA, TIMESTAMP = "metadata", "timestamp.json"
LOG, CHECKPOINT = "log", "checkpoint"
_MAX_NOTE, _MAX_TILE = 65_536, 8_192  # bytes

Fetch = Callable[[str, int], bytes | None]
"""Returns the bytes of a path of the registry, at most so many, or None if there is no such file. May raise."""

Witnesses = Sequence[tuple[Sequence[WitnessKey], int]]
"""Sets of witnesses, and how many of each must have signed the head of a log."""


def root_path(version: int) -> str:
    """Return the path of a root."""
    return f"{METADATA}/{version}.root.json"


def copy_path(page: str, digest: str) -> str:
    """Return the path of the copy of a page with this SHA-256."""
    folder, _, file = page.rpartition("/")
    return f"{folder}/{digest}.{file}"


def log_origin(first_root: bytes) -> str:
    """Return the name of a registry's log: no other registry has the same first root."""
    return f"skillpm-registry/{hashlib.sha256(first_root).hexdigest()}"


def log_entry(name: str, release: Release) -> bytes:
    """Return what the log has of a release: what never changes, and who signed it."""
    signatures = release.signature.signatures if release.signature else ()
    entry = {
        "name": name,
        "version": release.version,
        "archive": release.archive,
        "tree": release.tree,
        "signatures": [[item.keyid, item.sig] for item in signatures],
    }
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class SignedPages:
    """What one signed registry says.

    Args:
        place: the registry in messages: its folder or URL. It also names the folder of what was seen.
        state: the folder of what was seen of all registries.
        tell: takes a sentence for the person.
        witnesses: returns the sets of witnesses that must have signed the head of the log, each with how many of them.
    """

    def __init__(
        self,
        place: str,
        fetch: Fetch,
        state: Path,
        tell: Callable[[str], None],
        *,
        witnesses: Callable[[], Witnesses] = tuple,
        offline: bool = False,
    ) -> None:
        self._place = place
        self._fetch = fetch
        self._state = state / hashlib.sha256(place.encode()).hexdigest()[:32]
        self._tell = tell
        self._witnesses = witnesses
        self._offline = offline
        self._alone = threading.RLock()
        self._updater: Updater | None = None
        self._latest = ""  # the metadata that was read last
        self._head: Checkpoint | None = None
        self._heads: set[str] = set()
        self._tiles: dict[str, bytes | None] = {}

    @property
    def pinned(self) -> bool:
        """Must this registry be signed: because it was when it was seen, or because it must have witnesses?"""
        return bool(self._witnesses()) or (self._state / "first.json").is_file()

    def page(self, name: str, known: bytes = b"") -> bytes | None:
        """Return the bytes of a page, or None if the registry does not have the name.

        ``known`` is the page as it was read before; if it is still the same, it is not read again.

        Raises:
            IntegrityError: the metadata or the page is not what the registry's keys signed, or is out of date.
            RegistryError: the registry failed.
            StorageError: what was seen cannot be written.
        """
        with self._seen():
            target = self._metadata().get_targetinfo(page_path(name))
            if self._witnesses() and not self._offline:
                self._today()  # nobody else has seen what a log without its witnesses shows, or hides
        if target is None:
            return None
        digest = target.hashes.get("sha256", "")
        if hashlib.sha256(known).hexdigest() == digest:
            return known
        path = copy_path(page_path(name), digest)
        data = self._fetch(path, min(target.length, MAX_PAGE))  # without the lock: pages are read at once
        if data is None:
            raise self._refused(f"{path} is missing")
        if hashlib.sha256(data).hexdigest() != digest:
            raise self._refused(f"{path} has another content")
        return data

    def demand_logged(self, name: str, release: Release) -> None:
        """Raise IntegrityError if the log does not have a release, or is not the log of earlier visits.

        Raises:
            RegistryError: the registry failed.
            StorageError: what was seen cannot be written.
        """
        label = f"{name} {release.version}"
        with self._seen():
            try:
                proof = InclusionProof.parse(release.proof or "")
                head = self._checkpoint(proof.checkpoint)
                leaf = leaf_hash(log_entry(name, release))
                if included_root(leaf, proof.index, head.size, proof.hashes) != head.root:
                    raise ValueError("the proof is of another release")
            except ValueError as error:
                raise self._refused(f"{label} is not in its log: {error}") from None
            if not self._offline:
                self._demand_one_history(head, proof.checkpoint)

    def _demand_one_history(self, head: Checkpoint, note: str) -> None:
        """Raise IntegrityError if a head is not one of the log that the registry shows, and showed before."""
        if note not in self._heads:
            today = self._today()
            self._compare(head, today)
            if head.size > today.size and self._witnesses():
                raise self._refused(f"its proof is of a log with {head.size} entries, and its head has {today.size}")
            self._heads.add(note)

    def _today(self) -> Checkpoint:
        """Return the head of the log, which continues that of the last visit and has its witnesses."""
        if self._head is None:
            data = self._fetch(f"{LOG}/{CHECKPOINT}", _MAX_NOTE) or b""
            try:
                today = self._checkpoint(data.decode())
                self._demand_witnesses(data.decode())
            except ValueError as error:
                raise self._refused(f"the head of its log cannot be believed: {error}") from None
            self._compare(self._earlier(today), today)
            self._head = today
            write_atomic(self._state / CHECKPOINT, data)
        return self._head

    def _demand_witnesses(self, note: str) -> None:
        """Raise ValueError if too few witnesses signed a head."""
        for keys, needed in self._witnesses():
            absent = missing(note, keys)
            if len(keys) - len(absent) < needed:
                raise ValueError(f"the policy needs {needed} witnesses of it, and {', '.join(absent)} did not sign it")

    def _earlier(self, default: Checkpoint) -> Checkpoint:
        """Return the head of the last visit."""
        path = self._state / CHECKPOINT
        if not path.is_file():
            return default
        origin, size, root = path.read_text(encoding="utf-8").split("\n")[:3]
        return Checkpoint(origin, int(size), base64.b64decode(root))

    def _compare(self, one: Checkpoint, other: Checkpoint) -> None:
        """Raise IntegrityError if neither log contains the other."""
        older, newer = sorted((one, other), key=lambda item: item.size)
        proof: list[bytes] = []
        try:
            if 0 < older.size < newer.size:
                proof = TileLog(newer.size, self._tile).consistency(older.size)
        except ValueError as error:
            raise self._refused(f"its log is damaged: {error}") from None
        if not is_consistent((older.size, older.root), (newer.size, newer.root), proof):
            raise IntegrityError(
                f"registry {self._place} shows two different logs: one with {older.size} entries is not the beginning "
                f"of the one with {newer.size}",
                hint="someone may be shown other releases than you: do not install from it, and tell its maintainer",
                older=older.text,
                newer=newer.text,
            )

    def _tile(self, path: str) -> bytes | None:
        if path not in self._tiles:
            self._tiles[path] = self._fetch(f"{LOG}/{path}", _MAX_TILE)
        return self._tiles[path]

    def _checkpoint(self, note: str) -> Checkpoint:
        """Return a head that the registry's log signed. Raises ValueError."""
        from skillpm.index.tuf_client import log_keys

        if not self._offline:
            self._metadata()
        first = (self._state / "first.json").read_bytes()
        return open_checkpoint(note, log_origin(first), log_keys(self._state / METADATA))

    def _metadata(self) -> Updater:
        """Return the metadata, fresh for this command."""
        if self._updater is None:
            from skillpm.index.tuf_client import fresh_metadata

            fetch, first = self._fetch_metadata, self._first_root()
            self._updater = fresh_metadata(self._state / METADATA, fetch, first)
        return self._updater

    def _fetch_metadata(self, path: str, limit: int) -> bytes | None:
        """Read a file for tuf, whose errors do not name it."""
        self._latest = path
        return self._fetch(path, limit)

    def _first_root(self) -> bytes:
        """Return the pinned root; pin the registry's first root at the first use."""
        pin = self._state / "first.json"
        if pin.is_file():
            return pin.read_bytes()
        data = self._fetch(root_path(1), MAX_PAGE)
        if data is None:
            raise self._refused(f"it says that it is signed, and {root_path(1)} is missing")
        write_atomic(pin, data)
        fingerprint = hashlib.sha256(data).hexdigest()
        self._tell(f"registry {self._place} is signed; compare its root with its maintainer's: {fingerprint}")
        return data

    @contextlib.contextmanager
    def _seen(self) -> Iterator[None]:
        """Hold the folder of what was seen, and turn tuf's errors into ours."""
        with self._alone, locked(self._state / "lock"), DiskErrors("write", self._state):
            try:
                yield
            except (SkillpmError, OSError):
                raise
            except Exception as error:  # noqa: BLE001  tuf's families have no common base, and import tuf
                self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        from tuf.api.exceptions import BadVersionNumberError, DownloadError, ExpiredMetadataError, RepositoryError
        from tuf.api.serialization import DeserializationError

        if isinstance(error, DownloadError):
            if isinstance(error.__cause__, SkillpmError):
                raise error.__cause__ from None
            raise RegistryError(f"registry {self._place}: {error}", hint="tell the registry's maintainer") from None
        if isinstance(error, ExpiredMetadataError):
            raise IntegrityError(
                f"registry {self._place}: its metadata is out of date: {error}",
                hint="is this machine's clock right? else ask its maintainer to run `skillpm registry sign FOLDER`",
            ) from None
        if isinstance(error, BadVersionNumberError) and str(error).startswith("New "):  # not two that differ
            raise IntegrityError(
                f"registry {self._place} shows an older state than at your last visit: {str(error).lower()}",
                hint="do not install from it, and tell its maintainer, who may have restored a backup",
            ) from None
        if isinstance(error, DeserializationError):
            raise self._refused(f"{self._latest} is not a document of The Update Framework") from None
        if isinstance(error, (RepositoryError, ValueError)):
            raise self._refused(str(error)) from None
        raise error

    def _refused(self, reason: str) -> IntegrityError:
        return IntegrityError(
            f"registry {self._place} is not what its keys signed: {reason}",
            hint="do not install from it, and tell its maintainer",
        )


OpenSigned = Callable[[str, Fetch], SignedPages]
"""Opens the signed pages of a place, which the function reads."""

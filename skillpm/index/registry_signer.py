"""Signs a registry's folder: The Update Framework's metadata over its pages, and a log of its releases.

Order of a publication, so that a crash leaves nothing that a client could install and that is not signed and logged:

1. The tiles of the log, its new head in ``log/next``, a copy of the page whose name has its digest, the metadata of its
   bin, and a snapshot. Nothing refers to these files yet. They are flushed to the disk together, with drafts of the
   files of the next steps.
2. ``log/checkpoint``: the release is in the log. Where the log has witnesses, they are asked before this, and nobody's
   turn waits for them. A release that too few of them signed waits, and the registry goes on without it.
3. ``metadata/timestamp.json``: clients see the new page. It is the only file of the metadata that changes.
4. The page under its own name, for clients that check no signatures.

The last three are renames, which are flushed together. A power cut may keep any of them and lose the others. The next
publication continues ``log/next``, which was on the disk before them, so that no two histories of the log are shown.
Witnesses refuse a second one, too: what they may have signed is in the same file.

The next publication completes a killed one: the log is searched for the entry before one is added. Writers take turns,
because two of them would give the log two histories. ``FolderRegistry`` does all of this in ``publish``, ``yank`` and
every other change of a page. A server that publishes through it only has to call ``refresh`` when ``is_due``.

One key, the online key, signs what each publication changes, and the log. The root keys are needed to change keys only,
and belong on another machine. A key is looked up among the person's keys by the root metadata, which names it.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from skillpm.errors import RegistryError, UsageError
from skillpm.index.note import Checkpoint, missing, with_witnesses
from skillpm.index.pages import document_text
from skillpm.index.paths import page_path
from skillpm.index.registry_log import Document, RegistryLog
from skillpm.index.registry_metadata import RegistryMetadata, keys_of, new_root, next_root, signed
from skillpm.index.signed_pages import CHECKPOINT, LOG, METADATA, TIMESTAMP, log_origin, root_path
from skillpm.index.witnesses import FILE, NEXT, Witnesses
from skillpm.model.key import PrivateKey
from skillpm.storage.durable import flush
from skillpm.storage.files import file_sha256
from skillpm.storage.process_lock import turns

if TYPE_CHECKING:
    from skillpm.index.folder_registry import FolderRegistry
    from skillpm.storage.keys import Keys

_KEPT = 24 * 3600.0  # seconds for which a client may still read what a newer snapshot replaced


class RegistrySigner:
    """The signatures and the log of one folder. A timestamp is valid for ``days``."""

    def __init__(self, store: FolderRegistry, keys: Keys, days: int) -> None:
        self._store = store
        self._keys = keys
        self._days = days
        self._root_read: tuple[bytes, Metadata[Root]] | None = None
        self._alone = threading.Lock()

    def show(self, name: str, changes: Mapping[str, str]) -> dict[str, str]:
        """Log and sign what a page is to say, and let clients see it.

        ``changes`` are further keys of the page.

        Returns:
            Why releases of it are logged and not visible, by `NAME VERSION`: the witnesses did not sign them.

        Raises:
            UsageError: the online key is not on this machine.
            RegistryError: the metadata or the log is damaged.
            StorageError: the disk refused.
            BusyError: other writers had their turns for a minute.
        """

        def commit(pages: dict[str, Document], head: str, keys: Sequence[PrivateKey]) -> None:
            metadata = self._metadata(keys)
            texts = {item: document_text(page) for item, page in pages.items() if page["releases"] or self._has(item)}
            fresh = {item: text for item, text in texts.items() if not metadata.lists(item, text)}
            for item in texts.keys() - fresh.keys():
                if self._note(page_path(item)) != texts[item]:  # a killed writer did not come so far
                    self._store.write(page_path(item), texts[item])
            if fresh or self._note(f"{LOG}/{CHECKPOINT}") != head:  # a power cut may have lost the head alone
                is_full = metadata.update(fresh)
                self._commit(metadata, head, {page_path(item): text for item, text in fresh.items()})
                if is_full:
                    pages = self._pages()
                    self._log().prove(pages, head)
                    self._sign_all(keys, pages, head)

        return self._reveal(lambda: {name: {**self._store.page_document(name), **changes}}, commit)

    def refresh(self, *, whole: bool = True) -> dict[str, str]:
        """Sign the timestamp anew, and every other role; remove what no client needs.

        If it is not ``whole``, the other roles are signed only when half of their time is over, which is much faster.
        What waits for the witnesses becomes visible if they sign it now. All else is renewed without them.

        Returns:
            Why releases are not visible yet, as ``show``.

        Raises:
            UsageError, RegistryError, StorageError, BusyError: as ``show``.
        """
        with self._turn():
            metadata = self._metadata([self._online()])
            if not whole and not metadata.is_aging:
                self._store.write(f"{METADATA}/{TIMESTAMP}", metadata.timestamp(self._days))
                self._remove_old(metadata)
                return {}

        def commit(pages: dict[str, Document], head: str, keys: Sequence[PrivateKey]) -> None:
            self._remove_old(self._sign_all(keys, pages, head))

        return self._reveal(self._pages, commit, all_witnesses=True)

    @property
    def is_due(self) -> bool:
        """Is half of the time of the timestamp or of another role over? Raises RegistryError, UsageError."""
        return self._metadata([self._online()]).is_due(self._days)

    def rotate(self, name: str) -> dict[str, str]:
        """Replace the online key by a new one of this name.

        The old key, if it is here, signs everything once more beside the new one, so that clients which have not seen
        the new root go on. All proofs are made again, because the log has the same key.

        Returns:
            Why releases are not visible yet, as ``show``.

        Raises:
            UsageError: too few of the root keys are on this machine, or the name is taken; no key is made then.
            RegistryError, StorageError, BusyError: as ``show``.
        """
        root = self._root()
        signers, needed = self._keys.private_of(keys_of(root, "root")), root.signed.roles["root"].threshold
        if len(signers) < needed:
            raise UsageError(
                f"{len(signers)} of the root keys are on this machine, {needed} are needed",
                hint="add one with `skillpm key import NAME FILE`",
            )
        online = self._keys.create(name)

        def commit(pages: dict[str, Document], head: str, keys: Sequence[PrivateKey]) -> None:
            self._sign_all(keys, pages, head)
            self._root_read = None  # what follows changes it
            data = signed(next_root(root, online.public), signers)
            self._store.write(root_path(root.signed.version), data)

        changed = [online, *self._keys.private_of(keys_of(root, "timestamp"))]
        return self._reveal(self._pages, commit, changed=changed)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Keep other writers away. Raises BusyError, and StorageError where the file system has no locks."""
        with self._alone, turns(self._store.root / METADATA, wait=60.0, strict=True):
            yield

    def _reveal(
        self,
        read: Callable[[], dict[str, Document]],
        commit: Callable[[dict[str, Document], str, Sequence[PrivateKey]], None],
        *,
        changed: Sequence[PrivateKey] = (),
        all_witnesses: bool = False,
    ) -> dict[str, str]:
        """Log pages, and show those releases that the newest head has which enough witnesses signed.

        That may be releases of other pages, too, which wait; but nobody asks the witnesses for their sake.

        A turn logs what is new, and shows what may be shown. If something may not, the witnesses are asked, after the
        turn, and another turn follows. Meanwhile others may log and show more.

        Args:
            read: returns the pages as they are to be.
            commit: writes pages under a head, signed by the keys, in each turn.
            changed: keys instead of the online key; head and proofs are signed anew by them, in one turn.
            all_witnesses: ask also those that are not needed.

        Returns:
            Why releases are not visible, by `NAME VERSION`.
        """
        asked, reason, again = "", "", bool(changed)
        for is_last in (False, False, True):
            with self._turn():
                wanted, keys, log = read(), changed or [self._online()], self._log()
                pages = {name: self._store.page_document(name) for name in log.unseen()} | wanted
                newest = log.add(pages, keys, again=again)
                newest, head = self._heads(newest, asked, keys, again=again)
                waiting = [item for item in log.prove(pages, head, again=again) if item[0] in wanted]
                commit(pages, head, keys)
            is_same = Checkpoint.parse(newest) == Checkpoint.parse(asked) if asked else False
            is_wanted = waiting or (all_witnesses and not asked and missing(newest, self._witnesses().urls))
            if not is_wanted or is_last or again or (reason and is_same):
                break
            seen = Checkpoint.parse(head).size
            asked, reason = self._witnesses().cosigned(newest, seen, lambda path: self._read(f"{LOG}/{path}"))
        return dict.fromkeys(map(" ".join, waiting), reason or "they were not asked yet")

    def _heads(self, newest: str, asked: str, keys: Sequence[PrivateKey], *, again: bool) -> tuple[str, str]:
        """Return the newest head, and the newest that may be shown, each with all that witnesses have signed of it.

        The newest one is written first: the log goes on from it, whatever becomes of what is shown.
        """
        present, witnesses = self._note(f"{LOG}/{CHECKPOINT}"), self._witnesses()
        known = (present, self._note(NEXT), asked)
        newest = with_witnesses(newest, known)
        heads = [with_witnesses(note, known) for note in (newest, asked) if note and witnesses.enough(note)]
        heads.append(with_witnesses(present, known) if present else self._log().empty(keys))
        head = max(heads, key=lambda note: Checkpoint.parse(note).size)
        if again:
            head = with_witnesses(Checkpoint.parse(head).signed(keys), [head])
        if newest not in (present, known[1]):
            is_shown = Checkpoint.parse(head) == Checkpoint.parse(newest)
            if not is_shown:  # witnesses are asked about it next
                flush([self._store.root])
            # what they were asked about must not be lost with the file that replaces it
            self._store.write(NEXT, newest, durable=bool(asked) or not is_shown)
        return newest, head

    def _pages(self) -> dict[str, Document]:
        return {name: self._store.page_document(name) for name in self._store.names()}

    def _sign_all(self, keys: Sequence[PrivateKey], pages: dict[str, Document], head: str) -> RegistryMetadata:
        """Sign every page and every role, and let clients see them."""
        metadata, texts = self._metadata(keys), {name: document_text(page) for name, page in pages.items()}
        metadata.rebuild(texts)
        self._commit(metadata, head, {})
        for name, text in texts.items():
            if self._read(page_path(name)) != text.encode():
                self._put(page_path(name), text.encode())
        flush([self._store.root])
        return metadata

    def _commit(self, metadata: RegistryMetadata, head: str, pages: Mapping[str, str]) -> None:
        """Let clients see what was written, with these pages by their paths: in the order of the module's text."""
        visible: dict[str, bytes | str] = {f"{LOG}/{CHECKPOINT}": head}
        if self._note(f"{LOG}/{CHECKPOINT}") == head:
            visible.clear()
        visible |= {f"{METADATA}/{TIMESTAMP}": metadata.timestamp(self._days), **pages}
        steps = [self._store.prepared(path, data) for path, data in visible.items()]
        flush([self._store.root])
        for step in steps:
            step()
        flush([self._store.root])

    def _remove_old(self, metadata: RegistryMetadata) -> None:
        """Remove the metadata and the copies of pages that no client needs."""
        wanted, oldest = metadata.files(), time.time() - _KEPT
        for folder in (METADATA, "skills"):
            for path in sorted((self._store.root / folder).rglob("*.json")):
                name = path.relative_to(self._store.root).as_posix()
                is_ours = name.startswith(METADATA) or (path.name[:64].isalnum() and path.name[64:65] == ".")
                if is_ours and name not in wanted and not name.endswith(".root.json"):
                    with contextlib.suppress(OSError):
                        if path.stat().st_mtime < oldest:
                            path.unlink()

    def _witnesses(self) -> Witnesses:
        return Witnesses.read(self._note(FILE))

    def _has(self, name: str) -> bool:
        return self._read(page_path(name)) is not None

    def _note(self, path: str) -> str:
        return (self._read(path) or b"").decode("utf-8", "replace")

    def _metadata(self, keys: Sequence[PrivateKey]) -> RegistryMetadata:
        return RegistryMetadata(self._read, self._put, keys)

    def _log(self) -> RegistryLog:
        first = self._read(root_path(1)) or b""
        return RegistryLog(log_origin(first), keys_of(self._root(), "timestamp"), self._read, self._put)

    def _online(self) -> PrivateKey:
        keys = keys_of(self._root(), "timestamp")
        own = self._keys.private_of(keys)
        if not own:
            titles = ", ".join(sorted(key.short for key in keys))
            raise UsageError(
                f"the registry {self._store.root} is signed, and its online key {titles} is not on this machine",
                hint="ask its maintainer for the key, then run `skillpm key import NAME FILE`",
            )
        return own[0]

    def _root(self) -> Metadata[Root]:
        version = 1
        while (self._store.root / root_path(version + 1)).is_file():
            version += 1
        data = self._read(root_path(version)) or b""
        if self._root_read is None or self._root_read[0] != data:
            try:
                self._root_read = data, Metadata.from_bytes(data)
            except RepositoryError as error:
                raise RegistryError(
                    f"{root_path(version)} is damaged: {error}", hint="restore metadata/ from a backup"
                ) from None
        return self._root_read[1]

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._store.root / path).read_bytes()
        except OSError:
            return None

    def _put(self, path: str, data: bytes) -> None:
        self._store.write(path, data, durable=False)


@dataclass(frozen=True, slots=True)
class NewRoot:
    """The keys of a new root: ``names`` of the root keys, how many of them are needed, and the online key's name.

    Raises:
        UsageError: there are fewer than are needed.
    """

    names: tuple[str, ...]
    threshold: int
    online: str

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.names):
            counts = f"{self.threshold} of {len(self.names)}"
            raise UsageError(f"{counts} root keys cannot be needed", hint="make more keys with `--root-keys`")

    @classmethod
    def of(cls, registry: str, count: int = 1, threshold: int = 1) -> NewRoot:
        """Return so many root keys, and an online key, that are called after a registry."""
        stem = re.sub(r"[^a-z0-9-]+", "-", registry.lower()).strip("-")[:40] or "registry"
        names = (f"{stem}-root{f'-{number}' if count > 1 else ''}" for number in range(1, count + 1))
        return cls(tuple(names), threshold, f"{stem}-online")


def sign_registry(store: FolderRegistry, keys: Keys, root: NewRoot, days: int) -> str:
    """Make the keys and the first root of a folder, and sign all its pages; return the root's fingerprint.

    ``config.json`` says last that the registry is signed, so a killed run leaves an unsigned one, and the next run
    goes on with its keys.

    Keys that are there already are used. A timestamp is valid for so many days.

    Raises:
        RegistryError, StorageError: as ``RegistrySigner.show``.
    """
    known = {item.name for item in keys.all()}
    own = [keys.private(name) if name in known else keys.create(name) for name in (*root.names, root.online)]
    if not (store.root / root_path(1)).is_file():
        first = new_root([key.public for key in own[:-1]], root.threshold, own[-1].public)
        store.write(root_path(1), signed(first, own[:-1]))
    RegistrySigner(store, keys, days).refresh()
    config = json.loads((store.root / "config.json").read_bytes())
    store.write("config.json", document_text({**config, "signed": days}))
    return root_fingerprint(store.root)


def root_fingerprint(folder: Path) -> str:
    """Return the fingerprint of a signed folder's first root, which its users compare at the first use."""
    return file_sha256(folder / root_path(1))

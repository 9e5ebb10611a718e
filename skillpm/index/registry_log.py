"""The writer of a registry's log: an entry for each release, and its proof in the page."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from skillpm.errors import DocumentError, RegistryError
from skillpm.formats.light import read_light
from skillpm.index.note import Checkpoint, open_checkpoint, without_witnesses
from skillpm.index.paths import page_path
from skillpm.index.signed_pages import CHECKPOINT, LOG, log_entry
from skillpm.index.tile_log import WIDTH, InclusionProof, TileLog, entries_of, extend
from skillpm.index.witnesses import NEXT
from skillpm.model.key import PrivateKey, PublicKey
from skillpm.model.release import Release

Document = dict[str, Any]


class RegistryLog:
    """The log of one folder, in one turn of a writer.

    Args:
        known: the keys that may have signed its present head.
        read: returns the bytes of a path of the registry, or None.
        put: writes a path of the registry, not yet flushed to the disk.
    """

    def __init__(
        self,
        origin: str,
        known: Iterable[PublicKey],
        read: Callable[[str], bytes | None],
        put: Callable[[str, bytes], None],
    ) -> None:
        self._origin = origin
        self._known = tuple(known)
        self._read = read
        self._put = put
        self._places: dict[bytes, int] = {}

    def add(self, pages: Mapping[str, Document], keys: Sequence[PrivateKey], *, again: bool = False) -> str:
        """Log every release of these pages that is not logged; return the newest head.

        The tiles are written. The caller flushes them to the disk before it writes the head, which makes them count.
        ``again`` signs the head anew, because the keys changed.

        Raises:
            RegistryError: the log is damaged.
            StorageError: the disk refused.
        """
        with _damage():
            note = self._newest
            log = TileLog(Checkpoint.parse(note).size if note else 0, self._tile)
            items = [(item, entry) for name, page in pages.items() for item, entry in _entries(name, page)]
            self._find(items, log)
            fresh = [entry for _, entry in items if entry not in self._places]
            self._places |= {entry: log.size + number for number, entry in enumerate(fresh)}
            if fresh:
                log = extend(log, fresh, lambda path, data: self._put(f"{LOG}/{path}", data))
            if note and not fresh and not again:
                return note
            return Checkpoint(self._origin, log.size, log.root()).signed(keys)

    def prove(self, pages: Mapping[str, Document], note: str, *, again: bool = False) -> list[tuple[str, str]]:
        """Put proofs into pages, and remove new releases that a head does not have; return their names and versions.

        ``again`` replaces all proofs, because the keys changed. Raises RegistryError if the log is damaged.
        """
        waiting = list[tuple[str, str]]()
        with _damage():
            head, log = without_witnesses(note), TileLog(Checkpoint.parse(note).size, self._tile)
            items = [(name, item, entry) for name, page in pages.items() for item, entry in _entries(name, page)]
            self._find([item[1:] for item in items], log)
            for name, item, entry in items:
                place = self._places.get(entry, log.size)
                if place >= log.size:
                    waiting.append((name, item["version"]))
                    if item["version"] not in self._visible(name):
                        pages[name]["releases"].remove(item)
                elif again or not item.get("proof"):
                    item["proof"] = str(InclusionProof(place, tuple(log.inclusion(place)), head))
        return waiting

    def unseen(self) -> set[str]:
        """Return the names of the releases that are logged and not in the visible head. Raises RegistryError."""
        with _damage():
            shown, size = self._shown[1], Checkpoint.parse(self._newest).size if self._newest else 0
            entries = self._entries_from(shown, size) if size > shown else ()
            return {json.loads(entry)["name"] for entry, place in entries if place >= shown}

    def empty(self, keys: Sequence[PrivateKey]) -> str:
        """Return the head of the log before its first entry."""
        return Checkpoint(self._origin, 0, TileLog(0, self._tile).root()).signed(keys)

    @cached_property
    def _shown(self) -> tuple[str, int]:
        """The visible head and its size; empty and 0 if there is none."""
        note = (self._read(f"{LOG}/{CHECKPOINT}") or b"").decode()
        return note, open_checkpoint(note, self._origin, self._known).size if note else 0

    @cached_property
    def _newest(self) -> str:
        """The longest head that was signed, which may not be visible yet; empty if there is none."""
        (note, size), later = self._shown, (self._read(NEXT) or b"").decode()
        with contextlib.suppress(ValueError):  # it is missing, of a key that was replaced, or was never flushed
            head = open_checkpoint(later, self._origin, self._known) if later != note else None
            if head and (not note or head.size > size) and TileLog(head.size, self._tile).root() == head.root:
                return later
        return note

    def _find(self, items: Iterable[tuple[Document, bytes]], log: TileLog) -> None:
        """Find out where entries are: where their proofs say, or among the last ones, which may have no proofs yet."""
        proved = {entry: InclusionProof.parse(item["proof"]).index for item, entry in items if item.get("proof")}
        if any(place >= log.size for place in proved.values()):
            raise ValueError(f"it has {log.size} entries, and there are proofs of more")
        self._places = proved | self._places
        if wanted := {entry for _, entry in items} - self._places.keys():
            # those that wait for witnesses are behind the visible head, and a killed writer's are the last before it
            found = self._entries_from(self._shown[1] - 1, log.size)
            self._places |= {entry: place for entry, place in found if entry in wanted}

    def _visible(self, name: str) -> set[str]:
        """Return the versions that a page has now: what has lost its proof must not be lost with it."""
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return {item["version"] for item in json.loads(self._read(page_path(name)) or b"{}")["releases"]}
        return set()

    def _entries_from(self, first: int, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield the entries of a log, each with its place, from the bundle that has the entry ``first``."""
        for number in range(max(first, 0) // WIDTH, -(-size // WIDTH)):
            for place, entry in enumerate(entries_of(size, number, self._tile), number * WIDTH):
                yield entry, place

    def _tile(self, path: str) -> bytes | None:
        return self._read(f"{LOG}/{path}")


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turn the errors of a damaged log into ours."""
    try:
        yield
    except ValueError as error:
        raise RegistryError(
            f"the registry's log is damaged: {error}", hint="restore log/ from a backup: clients refuse another log"
        ) from None


def _entries(name: str, page: Document) -> Iterable[tuple[Document, bytes]]:
    """Yield the releases of a page that this skillpm can read, each with its entry."""
    for item in page["releases"]:
        try:
            yield item, log_entry(name, read_light(Release, item))
        except DocumentError:
            continue  # a newer skillpm wrote it, and logged it

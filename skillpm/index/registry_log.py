"""The writer of a registry's log: an entry for each release, and its proof in the page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError, RegistryError
from skillpm.formats.light import read_light
from skillpm.index.note import Checkpoint, open_checkpoint
from skillpm.index.signed_pages import CHECKPOINT, LOG, log_entry
from skillpm.index.tile_log import WIDTH, InclusionProof, TileLog, entries_of, extend
from skillpm.index.witnesses import NEXT
from skillpm.model.release import Release

if TYPE_CHECKING:
    from skillpm.model.key import PrivateKey, PublicKey

Document = dict[str, Any]


class RegistryLog:
    """The log of one folder.

    Args:
        origin: the log's name.
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

    def prove(self, pages: Mapping[str, Document], keys: Sequence[PrivateKey], *, again: bool = False) -> str:
        """Log every release that has no proof, and put the proofs into the pages; return the new head.

        The tiles are written. The caller flushes them to the disk before it writes the head, which makes them count.

        The pages are changed. ``again`` replaces all proofs, because the keys changed.

        Raises:
            RegistryError: the log is damaged.
            StorageError: the disk refused.
        """
        try:
            note = (self._read(f"{LOG}/{CHECKPOINT}") or b"").decode()
            size = open_checkpoint(note, self._origin, self._known).size if note else 0
            later = (self._read(NEXT) or b"").decode()
            with contextlib.suppress(ValueError):  # it is missing, or of a key that was replaced
                ahead = open_checkpoint(later, self._origin, self._known).size
                note, size = (later, ahead) if ahead > size else (note, size)
            return self._prove(pages, keys, TileLog(size, self._tile), "" if again else note)
        except ValueError as error:
            raise RegistryError(
                f"the registry's log is damaged: {error}", hint="restore log/ from a backup: clients refuse another log"
            ) from None

    def _prove(self, pages: Mapping[str, Document], keys: Sequence[PrivateKey], log: TileLog, note: str) -> str:
        items = [(item, entry) for name, page in pages.items() for item, entry in _entries(name, page)]
        places = {entry: InclusionProof.parse(item["proof"]).index for item, entry in items if item.get("proof")}
        places |= self._last(log, {entry for _, entry in items} - places.keys())
        fresh = [entry for _, entry in items if entry not in places]
        places |= {entry: log.size + number for number, entry in enumerate(fresh)}
        if fresh or not note:
            log = extend(log, fresh, lambda path, data: self._put(f"{LOG}/{path}", data))
        head = note if note and not fresh else Checkpoint(self._origin, log.size, log.root()).signed(keys)
        for item, entry in items:
            if not note or not item.get("proof"):
                item["proof"] = str(InclusionProof(places[entry], tuple(log.inclusion(places[entry])), head))
        return head

    def _last(self, log: TileLog, entries: set[bytes]) -> dict[bytes, int]:
        """Return which of these a killed writer has logged, and where: they are among the last entries."""
        if not entries or not log.size:
            return {}
        number = (log.size - 1) // WIDTH
        last = entries_of(log.size, number, self._tile)
        return {entry: number * WIDTH + last.index(entry) for entry in entries & set(last)}

    def _tile(self, path: str) -> bytes | None:
        return self._read(f"{LOG}/{path}")


def _entries(name: str, page: Document) -> Iterable[tuple[Document, bytes]]:
    """Yield the releases of a page that this skillpm can read, each with its entry."""
    for item in page["releases"]:
        try:
            yield item, log_entry(name, read_light(Release, item))
        except DocumentError:
            continue  # a newer skillpm wrote it, and logged it

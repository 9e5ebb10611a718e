"""The client of The Update Framework (python-tuf) over the connections of skillpm; only signed registries import it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient import FetcherInterface, Updater

from skillpm.index.registry_metadata import keys_of
from skillpm.index.signed_pages import METADATA
from skillpm.model.key import PublicKey

_MISSING = 404  # what tuf expects of a server that does not have a file


class RegistryFetcher(FetcherInterface):
    """Reads the metadata of a registry; ``fetch`` returns at most so many bytes of a path, or None."""

    def __init__(self, fetch: Callable[[str, int], bytes | None]) -> None:
        self._read = fetch

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return a file. Raises DownloadHTTPError if there is none, and whatever ``fetch`` raises."""
        data = self._read(url, max_length)
        if data is None:
            raise DownloadHTTPError(f"{url} is missing", _MISSING)
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, 1 << 20)


def fresh_metadata(folder: Path, fetch: Callable[[str, int], bytes | None], first_root: bytes) -> Updater:
    """Return the metadata of a registry, read and checked now.

    ``folder`` has what was seen before, and is written.

    Raises:
        RepositoryError, DownloadError: of tuf; and whatever ``fetch`` raises.
    """
    updater = Updater(str(folder), f"{METADATA}/", fetcher=RegistryFetcher(fetch), bootstrap=first_root)
    updater.refresh()
    return updater


def log_keys(folder: Path) -> set[PublicKey]:
    """Return the keys of the log: those that sign the timestamp, by the newest root that was seen."""
    root: Metadata[Root] = Metadata.from_file(str(folder / "root.json"))
    return keys_of(root, "timestamp")

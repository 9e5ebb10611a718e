"""A database on disk for one computation whose data may not fit in memory.

Its file lies in the folder for temporary files (``TMPDIR``), has no name, and is gone with the object.
"""

from __future__ import annotations

import errno
import marshal
import sqlite3
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from skillpm.storage.files import DiskErrors, storage_error

_CACHE = 16_384  # KiB of pages in memory
_LAST = 1 << 14  # digests in memory
# It is never read by another process, nor after a crash: so there are no locks, no journal and no waiting for the disk.
_PRAGMAS = (f"cache_size=-{_CACHE}", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE")


class TemporaryDatabase:
    """An SQLite database, all in one transaction.

    Raises:
        StorageError: the disk refused; every method raises it too.
    """

    def __init__(self, *tables: str) -> None:
        self._folder = Path(tempfile.gettempdir())
        with DiskErrors("write rows to", self._folder), tempfile.NamedTemporaryFile() as file:
            self._connection = sqlite3.connect(file.name, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._connection.close)
            for statement in (*(f"PRAGMA {pragma}" for pragma in _PRAGMAS), *tables, "BEGIN"):
                self.run(statement)

    def run(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement, and return its rows."""
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def run_many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of some values."""
        try:
            self._connection.executemany(statement, values)
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def _refusal(self, error: sqlite3.Error) -> Exception:
        is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        return storage_error("write rows to", self._folder, OSError(errno.ENOSPC if is_full else errno.EIO, str(error)))


class DigestMap:
    """A value that ``marshal`` can write for each digest, on disk; those that were set last are in memory."""

    def __init__(self) -> None:
        self._database = TemporaryDatabase("CREATE TABLE entry (digest BLOB PRIMARY KEY, value) WITHOUT ROWID")
        self._last: dict[bytes, Any] = {}
        self._all_in_memory = True

    def get(self, digest: bytes) -> Any:
        """Return the value of a digest, or None."""
        if self._all_in_memory or digest in self._last:
            return self._last.get(digest)
        row = self._database.run("SELECT value FROM entry WHERE digest = ?", (digest,)).fetchone()
        return None if row is None or row[0] is None else marshal.loads(row[0])  # noqa: S302  only we can write the file

    def __setitem__(self, digest: bytes, value: Any) -> None:
        """Set the value of a digest; None removes it."""
        self._last[digest] = value
        if len(self._last) >= _LAST:
            self._written()

    def _written(self) -> TemporaryDatabase:
        """Return the database with all values; in the order of the digests they are written side by side."""
        last = ((digest, self._last[digest]) for digest in sorted(self._last))
        written = ((digest, None if value is None else marshal.dumps(value)) for digest, value in last)
        self._database.run_many("INSERT OR REPLACE INTO entry VALUES (?, ?)", written)
        self._last.clear()
        self._all_in_memory = False
        return self._database

    def __len__(self) -> int:
        """Return how many there are."""
        return int(self._written().run("SELECT count(value) FROM entry").fetchone()[0])

    def __contains__(self, digest: bytes) -> bool:
        """Has a digest a value?"""
        return self.get(digest) is not None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the digests in their order."""
        rows = self._written().run("SELECT digest FROM entry WHERE value IS NOT NULL ORDER BY digest")
        return (digest for (digest,) in rows)


class DigestSet(DigestMap):
    """A set of digests on disk; those that were added last are in memory."""

    def add(self, digest: bytes) -> None:
        """Add a digest."""
        self[digest] = True

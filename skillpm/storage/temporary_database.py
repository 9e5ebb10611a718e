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

_CACHE = 4_096  # KiB of pages in memory
_LAST = 1 << 15  # keys in memory
_UNKNOWN = object()
_PLACES = (1 << 24) - 1  # of the bits of a filter, in 2 MiB
# It is never read by another process, nor after a crash: so there are no locks, no journal and no waiting for the disk.
_PRAGMAS = (f"cache_size=-{_CACHE}", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE")
_DISK = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


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
        return storage_error("write rows to", self._folder, disk_error(error) or OSError(errno.EIO, str(error)))


def disk_error(error: sqlite3.Error) -> OSError | None:
    """Return the error of the system that SQLite met; None where the database itself is at fault."""
    number = _DISK.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return None if number is None else OSError(number, str(error))


class DigestMap:
    """A value that ``marshal`` can write for each key, on disk; those that were used last are in memory.

    A key is a number of 64 bits, such as the hash of a text, or bytes.

    Args:
        most: keys in memory.
    """

    def __init__(self, most: int = _LAST) -> None:
        self._most = most
        self._database = TemporaryDatabase("CREATE TABLE entry (key PRIMARY KEY, value) WITHOUT ROWID")
        self._last: dict[Any, Any] = {}
        self._seen = bytearray()  # a Bloom filter with one bit a key, by which most new keys are known to be new

    def get(self, key: int | bytes) -> Any:
        """Return the value of a key, or None."""
        value = self._last.get(key, _UNKNOWN)
        if value is not _UNKNOWN:
            return value
        place = hash(key) & _PLACES
        if not self._seen or not self._seen[place >> 3] >> (place & 7) & 1:
            return None
        row = self._database.run("SELECT value FROM entry WHERE key = ?", (key,)).fetchone()
        if row is None or row[0] is None:
            return None
        value = marshal.loads(row[0])  # noqa: S302  only we can write the file
        self[key] = value
        return value

    def __setitem__(self, key: int | bytes, value: Any) -> None:
        """Set the value of a key; None removes it."""
        self._last[key] = value
        if len(self._last) >= self._most:
            self._written()

    def _written(self) -> TemporaryDatabase:
        """Return the database with all values; in the order of the keys they are written side by side."""
        last = ((key, self._last[key]) for key in sorted(self._last))
        written = ((key, None if value is None else marshal.dumps(value)) for key, value in last)
        self._database.run_many("INSERT OR REPLACE INTO entry VALUES (?, ?)", written)
        self._seen = self._seen or bytearray((_PLACES + 1) // 8)
        for key in self._last:
            place = hash(key) & _PLACES
            self._seen[place >> 3] |= 1 << (place & 7)
        self._last.clear()
        return self._database

    def __len__(self) -> int:
        """Return how many there are."""
        return int(self._written().run("SELECT count(value) FROM entry").fetchone()[0])

    def __contains__(self, key: int | bytes) -> bool:
        """Has a key a value?"""
        return self.get(key) is not None

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield the keys with their values, in the order of the keys."""
        rows = self._written().run("SELECT key, value FROM entry WHERE value IS NOT NULL ORDER BY key")
        return ((key, marshal.loads(value)) for key, value in rows)  # noqa: S302  only we can write the file

    def __iter__(self) -> Iterator[Any]:
        """Yield the keys in their order."""
        return (key for key, _ in self.items())


class DigestSet(DigestMap):
    """A set of keys on disk; those that were added last are in memory."""

    def add(self, key: int | bytes) -> None:
        """Add a key."""
        self[key] = True

    def update(self, keys: Iterable[int | bytes]) -> None:
        """Add keys."""
        self._last.update(dict.fromkeys(keys, True))
        if len(self._last) >= self._most:
            self._written()

"""The index in SQLite: a row for each skill, its requirements, its texts for full-text search, and its words.

Several processes may use one index: readers never wait for a writer (WAL), and writers take turns.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

FORMAT = 3  # part of the file's name, so that another format is another index
_SCHEMA = """
CREATE TABLE skill (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, last TEXT NOT NULL, page TEXT NOT NULL,
    version TEXT NOT NULL, summary TEXT NOT NULL, published TEXT NOT NULL, releases INTEGER NOT NULL,
    usable INTEGER NOT NULL, archive TEXT NOT NULL, served TEXT NOT NULL, size INTEGER NOT NULL,
    verifier INTEGER NOT NULL, suite INTEGER NOT NULL, signed INTEGER NOT NULL, adapter INTEGER NOT NULL,
    network INTEGER NOT NULL, programs INTEGER NOT NULL, measured INTEGER NOT NULL, facts TEXT NOT NULL
);
CREATE INDEX skill_owner ON skill (owner, last);
CREATE INDEX skill_last ON skill (last);
CREATE INDEX skill_published ON skill (published DESC, name);
CREATE TABLE requirement (
    skill INTEGER NOT NULL REFERENCES skill ON DELETE CASCADE, needs TEXT NOT NULL, specifier TEXT NOT NULL
);
CREATE INDEX requirement_needs ON requirement (needs);
CREATE INDEX requirement_skill ON requirement (skill);
CREATE VIRTUAL TABLE words_of USING fts5 (
    name, keywords, tools, summary, readme, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE letters (
    triple TEXT NOT NULL, length INTEGER NOT NULL, word INTEGER NOT NULL, PRIMARY KEY (triple, length, word)
) WITHOUT ROWID;
"""


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly: it ends with its thread, or with the index."""


class Database:
    """The connections to an index: one for each thread, because SQLite's are not shared.

    Args:
        path: the file; made, and made again if it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
        except sqlite3.DatabaseError:  # not an index; whatever it is, it can be made again
            self._threads = threading.local()
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            self._prepare()

    def _prepare(self) -> None:
        with self.writing() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {FORMAT:d}")

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread."""
        connection: _Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False, factory=_Connection
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA mmap_size = 268435456")
            self._threads.connection = connection
            self._open.add(connection)
        return connection

    def close(self) -> None:
        """Close the connections of all threads."""
        self._threads = threading.local()
        for connection in list(self._open):
            connection.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one right to write until the end of the block, and keep all of it or nothing."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

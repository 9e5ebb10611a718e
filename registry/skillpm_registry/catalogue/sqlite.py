"""The index in a file of SQLite, for the servers of one machine.

Several processes may use one index: readers never wait for a writer (WAL), and writers take turns.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

from skillpm_registry.catalogue.port import FORMAT, SCHEMA, Execute, Match, Rows, Term, Texts, Value

_TEXTS = """;
CREATE VIRTUAL TABLE words_of USING fts5 (
    name, keywords, tools, summary, readme, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
)
"""
_SCORE = "bm25(words_of, 20.0, 8.0, 6.0, 4.0, 1.0)"


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly: it ends with its thread, or with the index."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # it was never open
            self.close()


class SqliteEngine:
    """An index in a file, with a connection for each thread, because SQLite's are not shared.

    Args:
        folder: for the file; it is made, and made again if it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"catalogue-{FORMAT}.sqlite"
        self._threads = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
        except sqlite3.DatabaseError:  # not an index; whatever it is, it can be made again
            self._threads = threading.local()
            for ending in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            self._prepare()

    def _prepare(self) -> None:
        with self.writing() as execute:
            if execute("PRAGMA user_version") != [(FORMAT,)]:
                schema = SCHEMA.format(key="INTEGER PRIMARY KEY", text="TEXT", rowless="WITHOUT ROWID")
                for statement in (schema + _TEXTS).split(";"):
                    execute(statement)
                execute(f"PRAGMA user_version = {FORMAT:d}")

    @property
    def _connection(self) -> sqlite3.Connection:
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

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        """Return the rows of one statement."""
        return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Execute]:
        """Hold the one right to write until the end of the block, and keep all of it or nothing."""
        self.rows("BEGIN IMMEDIATE")
        try:
            yield self.rows
        except BaseException:
            self.rows("ROLLBACK")
            raise
        self.rows("COMMIT")

    def add_texts(self, execute: Execute, number: int, texts: Texts) -> None:
        """Add the texts of a skill."""
        values = (number, texts.name, texts.keywords, texts.tools, texts.summary, texts.readme)
        columns = "rowid, name, keywords, tools, summary, readme"
        execute(f"INSERT INTO words_of ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)

    def match(self, terms: Sequence[Term], *, every: bool = True, in_name: bool = False) -> Match:
        """Return what finds skills with all of some terms, or with any of them; perhaps in their names alone."""
        expression = (" AND " if every else " OR ").join(map(_expression, terms))
        return Match("words_of MATCH ?", (f"{{name}} : ({expression})" if in_name else expression,), _SCORE)


def _expression(term: Term) -> str:
    """Return FTS5's expression of a term. The quotes make all within them plain text, and several words a phrase."""
    words = " OR ".join(f'"{word}"{" *" if term.prefix else ""}' for word in term.words)
    return f"({words})" if term.anywhere else f"({{name keywords}} : ({words}))"

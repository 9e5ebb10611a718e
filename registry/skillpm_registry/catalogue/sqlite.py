"""The index in a file of SQLite, for the servers of one machine.

Several processes may use one index: readers never wait for a writer (WAL), and writers take turns.
"""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, LifoQueue

from skillpm_registry.catalogue.port import FORMAT, SCHEMA, Execute, Match, Rows, Term, Texts, Value

_TEXTS = """;
CREATE VIRTUAL TABLE words_of USING fts5 (
    name, keywords, tools, summary, readme, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
)
"""
_SCORE = "bm25(words_of, 20.0, 8.0, 6.0, 4.0, 1.0)"


class SqliteEngine:
    """An index in a file. Threads that are done with a connection leave it to the next one.

    Args:
        folder: for the file; it is made, and made again if it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"catalogue-{FORMAT}.sqlite"
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        self.close = weakref.finalize(self, _close, self._idle)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
        except sqlite3.DatabaseError:  # not an index; whatever it is, it can be made again
            _close(self._idle)
            for ending in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            self._prepare()

    def _prepare(self) -> None:
        with self.writing() as execute:
            if execute("PRAGMA user_version") != [(FORMAT,)]:
                schema = SCHEMA.format(key="INTEGER PRIMARY KEY", text="TEXT", blob="BLOB", rowless="WITHOUT ROWID")
                for statement in (schema + _TEXTS).split(";"):
                    execute(statement)
                execute(f"PRAGMA user_version = {FORMAT:d}")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Execute]:
        """Yield what runs a statement in a connection that no other thread uses meanwhile."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = _opened(self.path)
        try:
            yield lambda statement, values=(): connection.execute(statement, values).fetchall()
        except BaseException:
            connection.close()  # nobody gets a transaction that somebody else has begun
            raise
        self._idle.put(connection)

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        """Return the rows of one statement."""
        with self._connection() as execute:
            return execute(statement, values)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Execute]:
        """Hold the one right to write until the end of the block, and keep all of it or nothing."""
        with self._connection() as execute:
            execute("BEGIN IMMEDIATE")
            yield execute
            execute("COMMIT")

    def add_texts(self, execute: Execute, number: int, texts: Texts) -> None:
        """Add the texts of a skill."""
        values = (number, texts.name, texts.keywords, texts.tools, texts.summary, texts.readme)
        columns = "rowid, name, keywords, tools, summary, readme"
        execute(f"INSERT INTO words_of ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)

    def match(self, terms: Sequence[Term], *, every: bool = True, in_name: bool = False) -> Match:
        """Return what finds skills with all of some terms, or with any of them; perhaps in their names alone."""
        expression = (" AND " if every else " OR ").join(map(_expression, terms))
        return Match("words_of MATCH ?", (f"{{name}} : ({expression})" if in_name else expression,), _SCORE)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "mmap_size = 268435456"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _close(idle: LifoQueue[sqlite3.Connection]) -> None:
    while not idle.empty():
        idle.get().close()


def _expression(term: Term) -> str:
    """Return FTS5's expression of a term. The quotes make all within them plain text, and several words a phrase."""
    words = " OR ".join(f'"{word}"{" *" if term.prefix else ""}' for word in term.words)
    return f"({words})" if term.anywhere else f"({{name keywords}} : ({words}))"

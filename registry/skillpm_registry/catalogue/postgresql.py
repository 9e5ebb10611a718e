"""The index in PostgreSQL, one for all servers of a registry, beside their accounts.

A skill has two vectors: ``names`` with its name and keywords, which is short, and ``words`` with everything. So a word
of few letters, which is looked for in names alone, costs no reading of long texts. Words are split here, not by
PostgreSQL, whose parser reads paths, versions and hosts as one: both engines split alike, whatever the locale.
PostgreSQL has no BM25. ``ts_rank`` weighs a word by where it stands, and divides by the logarithm of the length.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, create_engine

from skillpm_registry.catalogue.port import FORMAT, SCHEMA, Execute, Match, Rows, Term, Texts, Value
from skillpm_registry.catalogue.words import plain_words
from skillpm_registry.database import reported

_NAME = f"catalogue_{FORMAT}"  # of PostgreSQL's schema, in which the tables are
_TURN = 8701  # the number of the lock by which writers take turns
_TEXTS = """;
CREATE TABLE words_of (
    rowid BIGINT PRIMARY KEY REFERENCES skill ON DELETE CASCADE, names TSVECTOR NOT NULL, words TSVECTOR NOT NULL
);
CREATE INDEX words_of_names ON words_of USING gin (names);
CREATE INDEX words_of_words ON words_of USING gin (words)
"""
_SCORE = "-ts_rank('{0.05, 0.25, 0.4, 1.0}', words, CAST(? AS tsquery), 1)"  # weights of D, C, B, A
_PLACES = 16  # of a word in one skill, and
_LONGEST = 200  # characters of a word, that are indexed


class PostgresqlEngine:
    """An index in a schema of its own, which is made, and may be dropped at any time before a start.

    Args:
        url: SQLAlchemy's, of the registry's database.

    Raises:
        StorageError: the database is not reachable.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(
            url, pool_pre_ping=True, isolation_level="AUTOCOMMIT", connect_args={"options": f"-csearch_path={_NAME}"}
        )
        with self.writing() as execute:
            if not execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (_NAME,)):
                execute(f"CREATE SCHEMA {_NAME}")
                key = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
                schema = SCHEMA.format(key=key, text='TEXT COLLATE "C"', blob="BYTEA", rowless="")
                for statement in (schema + _TEXTS).split(";"):
                    execute(statement)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        """Return the rows of one statement. Raises StorageError if the database is not reachable."""
        with reported(), self._engine.connect() as connection:
            return _execute(connection, statement, values)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Execute]:
        """Hold the one right to write until the end of the block, and keep all of it or nothing."""
        engine = self._engine.execution_options(isolation_level="READ COMMITTED")
        with reported(), engine.begin() as connection:
            _execute(connection, "SELECT pg_advisory_xact_lock(?)", (_TURN,))
            yield lambda statement, values=(): _execute(connection, statement, values)

    def add_texts(self, execute: Execute, number: int, texts: Texts) -> None:
        """Add the texts of a skill."""
        names = [(texts.name, "A"), (texts.keywords, "B")]
        words = [*names, (texts.tools, "C"), (texts.summary, "C"), (texts.readme, "D")]
        statement = "INSERT INTO words_of VALUES (?, CAST(? AS tsvector), CAST(? AS tsvector))"
        execute(statement, (number, _vector(names), _vector(words)))

    def match(self, terms: Sequence[Term], *, every: bool = True, in_name: bool = False) -> Match:
        """Return what finds skills with all of some terms, or with any of them; perhaps in their names alone."""
        weights = "A" if in_name else ""
        queries = {"names": list[str](), "words": list[str]()}
        for term in terms:
            queries["words" if term.anywhere and not in_name else "names"].append(_query(term, weights))
        sign, word = ("&", "AND") if every else ("|", "OR")
        parts = {vector: sign.join(items) for vector, items in queries.items() if items}
        condition = f" {word} ".join(f"{vector} @@ CAST(? AS tsquery)" for vector in parts)
        return Match(f"({condition})", tuple(parts.values()), _SCORE, ("|".join(_query(term) for term in terms),))


def _execute(connection: Connection, statement: str, values: Sequence[Value]) -> Rows:
    """Run a statement. PostgreSQL knows no character 0, and text that a person typed may have it."""
    bound = tuple(value.replace("\0", "") if isinstance(value, str) else value for value in values)
    result = connection.exec_driver_sql(statement.replace("?", "%s"), bound)
    return [tuple(row) for row in result] if result.returns_rows else []


def _vector(texts: Sequence[tuple[str, str]]) -> str:
    """Return the text of a vector: each word with its first places, and the weight of each. A word has no signs."""
    places: dict[str, list[str]] = {}
    place = 0
    for text, weight in texts:
        for place, word in enumerate(plain_words(text), place + 1):  # noqa: B020  goes on where the last text ended
            seen = places.setdefault(word[:_LONGEST], [])
            if len(seen) < _PLACES:
                seen.append(f"{place}{weight}")
    return " ".join(f"'{word}':{','.join(seen)}" for word, seen in places.items())


def _query(term: Term, weights: str = "") -> str:
    """Return the query of a term; a word with several parts is a phrase."""
    end = f"{'*' if term.prefix else ''}{weights}"
    suffix = f":{end}" if end else ""
    phrases = ("<->".join(f"'{part[:_LONGEST]}'{suffix}" for part in plain_words(word)) for word in term.words)
    return f"({'|'.join(f'({phrase})' for phrase in phrases)})"

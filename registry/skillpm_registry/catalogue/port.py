"""The port of the index. Lists, filters and misspelt words are the same SQL in each engine; full text is its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

FORMAT = 6  # part of the index's name, so that another format is another index
SCHEMA = """
CREATE TABLE skill (
    id {key}, name {text} NOT NULL UNIQUE, owner {text} NOT NULL, last {text} NOT NULL, page TEXT NOT NULL,
    part {text} NOT NULL, turned {text} NOT NULL, seen {text} NOT NULL,
    version TEXT NOT NULL, summary TEXT NOT NULL, published {text} NOT NULL, releases INTEGER NOT NULL,
    usable BOOLEAN NOT NULL, archive TEXT NOT NULL, served TEXT NOT NULL, size BIGINT NOT NULL,
    verifier BOOLEAN NOT NULL, suite BOOLEAN NOT NULL, signed BOOLEAN NOT NULL, adapter BOOLEAN NOT NULL,
    network BOOLEAN NOT NULL, programs BOOLEAN NOT NULL, measured BOOLEAN NOT NULL, facts TEXT NOT NULL,
    meaning {blob} NOT NULL
);
CREATE INDEX skill_owner ON skill (owner, last);
CREATE INDEX skill_last ON skill (last);
CREATE INDEX skill_part ON skill (part);
CREATE INDEX skill_turned ON skill (turned);
CREATE INDEX skill_seen ON skill (seen);
CREATE INDEX skill_published ON skill (published DESC, name);
CREATE TABLE requirement (
    skill BIGINT NOT NULL REFERENCES skill ON DELETE CASCADE, needs {text} NOT NULL, specifier TEXT NOT NULL
);
CREATE INDEX requirement_needs ON requirement (needs);
CREATE INDEX requirement_skill ON requirement (skill);
CREATE TABLE word (id {key}, text {text} NOT NULL UNIQUE);
CREATE TABLE letters (
    triple {text} NOT NULL, length INTEGER NOT NULL, word BIGINT NOT NULL, PRIMARY KEY (triple, length, word)
) {rowless}
"""

Value = str | int | bytes
Rows = list[tuple[Any, ...]]


class Execute(Protocol):
    """Runs one statement, in which ``?`` stands for a value, and returns its rows."""

    def __call__(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        """Run it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a skill that are searched. A word of the first weighs most, one of the last least."""

    name: str
    keywords: str
    tools: str
    summary: str
    readme: str


@dataclass(frozen=True, slots=True)
class Term:
    """One word that is looked for.

    Attributes:
        words: any of these will do; each may have `-` and `/` between its parts.
        prefix: may each be the beginning of a word?
        anywhere: is it looked for in all texts, or only in names and keywords?
    """

    words: tuple[str, ...]
    prefix: bool = True
    anywhere: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on rows of ``words_of``, and their score, of which less is better.

    Attributes:
        values: of the condition.
        score_values: of the score, which stands before the condition.
    """

    condition: str
    values: tuple[str, ...]
    score: str
    score_values: tuple[str, ...] = ()


class Engine(Protocol):
    """Holds an index. Its table ``words_of`` has the texts of each skill, by ``rowid``, the skill's number."""

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        """Return the rows of one statement."""

    def writing(self) -> AbstractContextManager[Execute]:
        """Hold the one right to write until the end of the block, and keep all of it or nothing."""

    def add_texts(self, execute: Execute, number: int, texts: Texts) -> None:
        """Add the texts of a skill."""

    def match(self, terms: Sequence[Term], *, every: bool = True, in_name: bool = False) -> Match:
        """Return what finds skills with all of some terms, or with any of them; perhaps in their names alone."""

    def close(self) -> None:
        """Close all connections."""

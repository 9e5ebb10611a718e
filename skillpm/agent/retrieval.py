"""What a model reads besides the request: the skill's text, and passages of references, within a budget of tokens.

Passages are found by words: SQLite's FTS5 with the Porter stemmer, ranked by BM25, in memory. With a plugin's embedding
model they are ranked by meaning as well, and what stands high in both rankings comes first.

Source: SQLite, FTS5 (``bm25``, ``porter``); Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009;
Cormack, Clarke and Buettcher, Reciprocal Rank Fusion, SIGIR 2009.
"""

from __future__ import annotations

import operator
import re
import sqlite3
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from skillpm.agent.shown import fed, visible
from skillpm.model.task import skill_content

CHARACTERS = 3.5  # of a token, about: no tokenizer is at hand for every model
_LONGEST = 1200  # characters of a passage
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_WORD = re.compile(r"\w{2,}")
_MOST_WORDS = 64  # of a request
_RANKED = 20  # passages of a ranking that count
_RANK = 60  # added to each rank, so that the first ones do not stand out too far
# A rank by meaning counts half as much as one by words. Of the hundred questions of the tests, the first passage then
# answers 80; it answers 78 by words alone, 53 by meaning alone, and 73 if both count alike.
_MEANING = 0.5

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: where it stands, and what it says."""

    source: str
    heading: str
    text: str

    @property
    def place(self) -> str:
        """Its source and heading."""
        return f"{self.source} ({self.heading})" if self.heading else self.source


def passages_of(source: str, text: str) -> list[Passage]:
    """Split a text at its headings, and what is long between two paragraphs."""
    passages: list[Passage] = []
    heading, lines = "", list[str]()

    def close() -> None:
        body = "\n".join(lines).strip()
        if body:
            passages.append(Passage(source, heading, body))
        lines.clear()

    for line in text.splitlines():
        found = _HEADING.match(line)
        if found is not None:
            close()
            heading = found[1]
        elif not line.strip() and sum(map(len, lines)) > _LONGEST // 2:
            close()
        else:
            lines.append(line[:_LONGEST])
            if sum(map(len, lines)) > _LONGEST:
                close()
    close()
    return passages


class Library:
    """Texts that can be searched.

    Args:
        texts: by the name of their source.
        embed: returns a vector of length 1 for each text; None to search by words alone.
    """

    def __init__(self, texts: Mapping[str, str], embed: Embed | None = None) -> None:
        self._passages = [passage for source, text in texts.items() for passage in passages_of(source, text)]
        self._embed = embed
        self._vectors = embed([f"{item.heading}\n{item.text}" for item in self._passages]) if embed else []
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._index.close)
        self._index.execute("CREATE VIRTUAL TABLE passages USING fts5(heading, text, tokenize='porter unicode61')")
        rows = [(place, item.heading, item.text) for place, item in enumerate(self._passages)]
        self._index.executemany("INSERT INTO passages (rowid, heading, text) VALUES (?, ?, ?)", rows)

    def search(self, request: str, count: int = 5) -> list[Passage]:
        """Return the passages that fit a request, the best first: at most 20 by words, and as many by meaning."""
        words = dict.fromkeys(word.casefold() for word in _WORD.findall(request))
        if not words:
            return []
        scores: defaultdict[int, float] = defaultdict(float)
        for weight, ranking in ((1.0, self._by_words(words)), (_MEANING, self._by_meaning(request))):
            for rank, place in enumerate(ranking):
                scores[place] += weight / (_RANK + rank)
        return [self._passages[place] for place in sorted(scores, key=lambda place: (-scores[place], place))[:count]]

    def _by_words(self, words: Iterable[str]) -> list[int]:
        """Return the passages that share most with some words; a word in a heading counts twice."""
        query = " OR ".join(f'"{word}"' for word in list(words)[:_MOST_WORDS])
        ranked = "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY bm25(passages, 2.0, 1.0), rowid LIMIT ?"
        return [row for (row,) in self._index.execute(ranked, (query, _RANKED))]

    def _by_meaning(self, request: str) -> list[int]:
        """Return the passages whose vectors are nearest to that of a request; none without an embedding model."""
        if self._embed is None:
            return []
        (wanted,) = self._embed([request])
        near = [sum(map(operator.mul, vector, wanted)) for vector in self._vectors]
        return sorted(range(len(near)), key=lambda place: -near[place])[:_RANKED]


def skill_block(name: str, text: str, tokens: int) -> tuple[str, int]:
    """Return a skill's text as it stands in a prompt, and how many characters of it are left out.

    Args:
        name: of the skill.
        text: SKILL.md without its frontmatter.
        tokens: about as many may be spent on it.
    """
    text, room = text.strip(), int(tokens * CHARACTERS)
    kept = text if len(text) <= room else text[:room].rpartition("\n")[0]
    return skill_content(name, kept), len(text) - len(kept)


def read_passages(passages: Iterable[Passage], tokens: int) -> tuple[str, Sequence[Passage]]:
    """Return passages as a model reads them, as data, and those that fit into about so many tokens."""
    room, fitting = int(tokens * CHARACTERS), list[Passage]()
    for passage in passages:
        room -= len(passage.text)
        if room < 0:
            break
        fitting.append(passage)
    text = "\n\n".join(f"[{passage.place}]\n{visible(passage.text)}" for passage in fitting)
    return (fed("These passages may help", text) if fitting else ""), fitting

"""Full-text search over the index: every word as a prefix, the best first, and a near word for a misspelt one.

Rank: the name itself, then names that begin with the text, then the engine's score, in which a word of the name weighs
most and a word of the README least. A word that stands nowhere is replaced by the words that are nearest to it, found
by the letters that they share three by three. Where no skill has all words, the skills are shown that are nearest in
meaning if the operator has an embedding model, else those with some of the words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from skillpm.model.name import near_names
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.catalogue.port import Match, Term
from skillpm_registry.catalogue.row import ROW, Row
from skillpm_registry.catalogue.words import asked_words, letter_triples

FILTERS = {
    "verifier": "verifier",
    "suite": "suite",
    "signed": "signed",
    "adapter": "adapter",
    "measured": "(measured OR name IN (SELECT needs FROM requirement JOIN skill AS adapter ON adapter.id = skill"
    " WHERE adapter.measured))",
    "no-network": "NOT network",
    "no-programs": "NOT programs",
}
_ANYWHERE = 3  # letters from which on a word is looked for in texts, not only in names and keywords
_RANKED = 500  # skills that are ranked at most: a word that more skills have says nothing of a skill
_COUNTED = 1000  # skills that are counted at most: to count all that have two usual words takes longer than to rank
_CANDIDATES = 40  # words with common letters that are compared with a misspelt one
_SLIPS = 3  # letters that a misspelt word has too many or too few at most
_BEGINNING = 4  # letters from which on a misspelt word is read as the beginning of another
_LONGEST = 64  # letters of such another
_NEAR = 4  # words that stand for a misspelt one


@dataclass(frozen=True, slots=True)
class Query:
    """What a person looks for.

    Attributes:
        text: as typed; empty for all skills, the newest first.
        filters: names of ``FILTERS`` that must hold.
        owner: only the skills of this owner.
        adapters: may trained adapters be among the skills?
    """

    text: str = ""
    filters: tuple[str, ...] = ()
    owner: str = ""
    limit: int = 20
    start: int = 0
    adapters: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search.

    Attributes:
        rows: of the page that was asked for, best first.
        total: the number of all, or of those that were counted.
        more: are there more than were counted?
        read_as: the words that stand for misspelt ones.
        some: do the skills have only some of the words?
        meant: were they found by their meaning?
    """

    rows: tuple[Row, ...] = ()
    total: int = 0
    more: bool = False
    read_as: dict[str, tuple[str, ...]] = field(default_factory=dict)
    some: bool = False
    meant: bool = False


def search(catalogue: Catalogue, query: Query) -> Found:
    """Return the skills that match. Raises RegistryError if the folder cannot be read."""
    catalogue.stamp()
    words = asked_words(query.text)
    if not words:
        return Found() if query.text.strip() else _listed(catalogue, query)
    found = _matching(catalogue, query, list(map(_prefix, words)))
    if found.total:
        return found
    words = [word for word in words if len(word) >= _ANYWHERE] or words
    read_as = {word: near for word in words if not _is_known(catalogue, word) and (near := _near(catalogue, word))}
    terms = [Term(read_as[word], prefix=False) if word in read_as else _prefix(word) for word in words]
    found = _matching(catalogue, query, terms)
    if not found.total and (numbers := _nearest(catalogue, query)):
        page = numbers[query.start : query.start + query.limit]
        return Found(catalogue.rows_of(page), len(numbers), meant=True)
    some = not found.total and len(words) > 1
    if some:
        found = _matching(catalogue, query, terms, every=False)
    return replace(found, read_as=read_as if found.total else {}, some=some)


def _nearest(catalogue: Catalogue, query: Query) -> list[int]:
    """Return the skills whose meaning is nearest to what was typed; none without an embedding model."""
    if catalogue.meaning is None:
        return []
    conditions, values = _conditions(query)
    vectors = catalogue.engine.rows(f"SELECT id, meaning FROM skill WHERE length(meaning) > 0{conditions}", values)
    return catalogue.meaning.nearest(query.text, [(number, vector) for number, vector in vectors])


def _prefix(word: str) -> Term:
    return Term((word,), anywhere=len(word) >= _ANYWHERE)


def _conditions(query: Query) -> tuple[str, list[str]]:
    conditions = [FILTERS[name] for name in query.filters if name in FILTERS]
    conditions += [] if query.adapters else ["NOT adapter"]
    return "".join(f" AND {item}" for item in conditions) + (" AND owner = ?" if query.owner else ""), (
        [query.owner] if query.owner else []
    )


def _listed(catalogue: Catalogue, query: Query) -> Found:
    conditions, values = _conditions(query)
    ((total,),) = catalogue.engine.rows(f"SELECT count(*) FROM skill WHERE true{conditions}", values)
    rows = catalogue.engine.rows(
        f"SELECT {ROW} FROM skill WHERE true{conditions} ORDER BY published DESC, name LIMIT ? OFFSET ?",
        (*values, query.limit, query.start),
    )
    return Found(tuple(map(Row.of, rows)), total)


def _matching(catalogue: Catalogue, query: Query, terms: list[Term], *, every: bool = True) -> Found:
    engine, match = catalogue.engine, catalogue.engine.match
    conditions, values = _conditions(query)
    # the plus keeps SQLite from asking the full-text table once for each skill that passes the filters
    passing = f" AND +rowid IN (SELECT id FROM skill WHERE true{conditions})" if conditions else ""

    def count(where: Match) -> int:
        found = f"SELECT 1 FROM words_of WHERE {where.condition}{passing} LIMIT ?"
        ((number,),) = engine.rows(f"SELECT count(*) FROM ({found}) AS found", (*where.values, *values, _COUNTED + 1))
        return int(number)

    # beginnings are merged out of the lists of all longer words, which is slow for a usual one and then changes nothing
    everywhere = match([replace(term, prefix=False) for term in terms], every=every)
    if (total := count(everywhere)) < _RANKED:
        everywhere = match(terms, every=every)
        total = count(everywhere)
    whole, best = "-".join(asked_words(query.text)), dict[int, None]()
    for where in (match(terms, every=every, in_name=True), everywhere) if total else ():
        if len(best) < query.start + query.limit:
            source = f"FROM words_of WHERE {where.condition}{passing}"
            ranked = engine.rows(
                f"SELECT id FROM (SELECT rowid, {where.score} AS score {source} LIMIT {_RANKED}) AS scores"
                " JOIN skill ON id = rowid ORDER BY CASE WHEN ? IN (name, last) THEN 0"
                " WHEN substr(name, 1, length(?)) = ? OR substr(last, 1, length(?)) = ? THEN 1 ELSE 2 END, score, name",
                (*where.score_values, *where.values, *values, *[whole] * 5),
            )
            best |= dict.fromkeys(number for (number,) in ranked)
    rows = catalogue.rows_of(list(best)[query.start : query.start + query.limit])
    return Found(rows, min(total, _COUNTED), more=total > _COUNTED)


def _is_known(catalogue: Catalogue, word: str) -> bool:
    match = catalogue.engine.match([_prefix(word)])
    return bool(catalogue.engine.rows(f"SELECT 1 FROM words_of WHERE {match.condition} LIMIT 1", match.values))


def _near(catalogue: Catalogue, word: str) -> tuple[str, ...]:
    """Return the indexed words that are nearest to a misspelt one."""
    near = near_names(word, _alike(catalogue, word, len(word) + _SLIPS), limit=_NEAR)
    return tuple(near) or _near_beginnings(catalogue, word)


def _near_beginnings(catalogue: Catalogue, word: str) -> tuple[str, ...]:
    """Return the indexed words whose beginning is nearest: what was typed may be the beginning of a word, too."""
    if len(word) < _BEGINNING:
        return ()
    longer = [text for text in _alike(catalogue, word, _LONGEST) if text[0] == word[0] and len(text) > len(word)]
    heads = near_names(word, {text[: len(word) + more] for text in longer for more in (-1, 0, 1)})
    return tuple([text for text in longer if text.startswith(tuple(heads))][:_NEAR]) if heads else ()


def _alike(catalogue: Catalogue, word: str, longest: int) -> list[str]:
    """Return the indexed words that share most letters, three by three, with another word."""
    letters = sorted(letter_triples(word))
    rows = catalogue.engine.rows(
        "SELECT text FROM letters JOIN word ON word.id = letters.word"
        f" WHERE triple IN ({', '.join('?' * len(letters))}) AND length BETWEEN ? AND ?"
        " GROUP BY word.id ORDER BY count(*) DESC, text LIMIT ?",
        (*letters, len(word) - _SLIPS, longest, _CANDIDATES),
    )
    return [text for (text,) in rows if text != word]

"""Duplicates among requests, exact and near, and requests that would have two answers.

Two requests are one where their normal forms agree. They are near duplicates where their targets agree and the Jaccard
similarity of their sets of words is at least the threshold. Near duplicates are found without comparing all pairs:
under a fixed order of words, rare first, two sets that similar share a word among their first ``n - ceil(t * n) + 1``
(prefix filtering: Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007; Chaudhuri et al., ICDE
2006). The result is exact. What was seen is on disk, so the memory does not grow with the number of requests.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import lru_cache

from skillpm.storage.temporary_database import TemporaryDatabase

SIMILAR = (4, 5)  # the least Jaccard similarity of near duplicates, as a fraction
SMALL = 5  # sets; a smaller group is compared whole, an index would cost more than it saves
_RANKED = 1 << 14  # words whose rank is kept in memory; those that are first seen later are the rarest
_WITH_WORD = "SELECT words FROM word WHERE key = ? AND size BETWEEN ? AND ?"
_MARKS = ".,!?;:"
_QUOTES = "\"'`“”‘’()"


def normal_form(request: str) -> str:
    """Return the form in which requests are compared: case, white space, and the marks around words do not count.

    Marks inside or before a word do: ``v1.2`` is not ``v12``, ``.env`` is not ``env``, and a lone ``/`` is a word.
    """
    words = request.casefold().split()
    return " ".join([word if word[0].isalnum() and word[-1].isalnum() else _bare(word) for word in words])


def _bare(word: str) -> str:
    """Return a word without the marks after it and the quotes around it; what is only marks stays."""
    return word.strip(_QUOTES).rstrip(_MARKS).rstrip(_QUOTES) or word


@lru_cache(maxsize=64)  # of one request several questions are asked in a row
def digest_of(text: str) -> bytes:
    """Return what stands for a normal form or a target in memory: 16 bytes, which no two texts share by chance."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Finding(Enum):
    """What a deduplicator says of a request."""

    NEW = "new"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    AMBIGUOUS = "ambiguous: the same request with another answer"


class Deduplicator:
    """Remembers every request that it was shown, on disk.

    Only requests with the same target are compared: two that nearly agree and have different answers show a model which
    word matters. A near duplicate is not compared with later ones, so a chain of small steps cannot close off a whole
    region.
    """

    def __init__(self) -> None:
        self._database = TemporaryDatabase(
            "CREATE TABLE form (digest BLOB PRIMARY KEY, target BLOB) WITHOUT ROWID",  # no target: it has two
            "CREATE TABLE word (key INTEGER, size INTEGER, words BLOB, PRIMARY KEY (key, size, words)) WITHOUT ROWID",
        )
        self._ranks: dict[bytes, int] = {}

    def add(self, form: str, target: str) -> Finding:
        """Judge a request by its normal form and the canonical text of its target.

        Where it is AMBIGUOUS the earlier request of that form is to be dropped too. A near duplicate is remembered for
        its form, so that another target for the same words is still found.
        """
        key, answer = digest_of(form), digest_of(target)
        known = self._database.run("SELECT target FROM form WHERE digest = ?", (key,)).fetchone()
        if known is not None and known[0] != answer:
            self._database.run("UPDATE form SET target = NULL WHERE digest = ?", (key,))
            return Finding.AMBIGUOUS
        if known is not None:
            return Finding.DUPLICATE
        self._database.run("INSERT INTO form VALUES (?, ?)", (key, answer))
        return Finding.NEAR_DUPLICATE if self._has_near(form, answer) else Finding.NEW

    def _has_near(self, form: str, target: bytes) -> bool:
        """Is an earlier set of words with this target similar enough? If not, this one is remembered."""
        words = frozenset(form.encode("utf-8", "surrogatepass").split())
        group = _key_of(target)
        members = self._database.run("SELECT words FROM word WHERE key = ? LIMIT ?", (group, SMALL)).fetchall()
        if len(members) == SMALL:
            return self._has_near_by_words(words, target)
        if any(_is_near(words, other.split()) for (other,) in members):
            return True
        self._remember([group], words)
        if len(members) == SMALL - 1:  # the group is as large as it may be without an index
            for member in (words, *(frozenset(other.split()) for (other,) in members)):
                self._remember(self._prefix_keys(member, target), member)
        return False

    def _has_near_by_words(self, words: frozenset[bytes], target: bytes) -> bool:
        keys = self._prefix_keys(words, target)
        least, most = -(-len(words) * SIMILAR[0] // SIMILAR[1]), len(words) * SIMILAR[1] // SIMILAR[0]
        for key in keys:
            for (other,) in self._database.run(_WITH_WORD, (key, least, most)):
                if _is_near(words, other.split()):
                    return True
        self._remember(keys, words)
        return False

    def _prefix_keys(self, words: frozenset[bytes], target: bytes) -> list[int]:
        # A set of n words and one similar to it have at least ceil(n * 4 / 5) words in common, for their union has n or
        # more. Without a common word in both prefixes they could have one fewer at most. The filter is exact under any
        # fixed order; the rarest words come first, because fewer sets have them.
        common = -(-len(words) * SIMILAR[0] // SIMILAR[1])
        return [_key_of(target + word) for word in sorted(words, key=self._rarity)[: len(words) - common + 1]]

    def _remember(self, keys: list[int], words: frozenset[bytes]) -> None:
        written = b" ".join(words)
        self._database.run_many("INSERT INTO word VALUES (?, ?, ?)", [(key, len(words), written) for key in keys])

    def _rarity(self, word: bytes) -> tuple[int, bytes]:
        """Return the place of a word in the order of prefixes, which never changes."""
        ranks = self._ranks
        rank = ranks.setdefault(word, len(ranks)) if len(ranks) < _RANKED else ranks.get(word, _RANKED)
        return -rank, word


def _key_of(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)


def _is_near(left: frozenset[bytes], right: list[bytes]) -> bool:
    """Compare ``common / (left + right - common)`` with the threshold, in whole numbers.

    Multiplied out, because a float's 0.8 is not 4/5: sets exactly at the threshold would fall on either side.
    """
    common = len(left.intersection(right))
    return common * (SIMILAR[0] + SIMILAR[1]) >= SIMILAR[0] * (len(left) + len(right))

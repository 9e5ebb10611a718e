"""Duplicates among requests, exact and near, and requests that would have two answers.

Two requests are one where their normal forms agree. They are near duplicates where their targets agree and the Jaccard
similarity of their sets of words is at least the threshold. Near duplicates are found without comparing all pairs:
under a fixed order of words, rare first, two sets that similar share a word among their first ``n - ceil(t * n) + 1``
(prefix filtering: Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007; Chaudhuri et al., ICDE
2006). The result is exact. What was seen is on disk, so the memory does not grow with the number of requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache

from skillpm.storage.temporary_database import DigestMap

SIMILAR = (4, 5)  # the least Jaccard similarity of near duplicates, as a fraction
SMALL = 5  # sets; a smaller group is compared whole, an index would cost more than it saves
_RANKED = 1 << 14  # words whose rank is kept in memory; those that are first seen later are the rarest
_SEVERAL = b""  # the target of a request that has two
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
        self._targets = DigestMap()  # of forms
        self._sets = DigestMap()  # of words
        self._ranks: dict[bytes, int] = {}

    def add(self, form: str, target: str) -> Finding:
        """Judge a request by its normal form and the canonical text of its target.

        Where it is AMBIGUOUS the earlier request of that form is to be dropped too. A near duplicate is remembered for
        its form, so that another target for the same words is still found.
        """
        key, answer = digest_of(form), digest_of(target)
        known = self._targets.get(key)
        if known is not None and known != answer:
            self._targets[key] = _SEVERAL
            return Finding.AMBIGUOUS
        if known is not None:
            return Finding.DUPLICATE
        self._targets[key] = answer
        return Finding.NEAR_DUPLICATE if self._has_near(form, answer) else Finding.NEW

    def _has_near(self, form: str, target: bytes) -> bool:
        """Is an earlier set of words with this target similar enough? If not, this one is remembered."""
        words = frozenset(form.encode("utf-8", "surrogatepass").split())
        group = self._members(target)
        keys = [target] if len(group) < SMALL else self._prefix_keys(words, target)
        if any(_is_near_one_of(self._members(key), words) for key in keys):
            return True
        self._remember(keys, words)
        if len(group) == SMALL - 1:  # with this one it is as large as it may be without an index
            for member in (*(frozenset(text.split()) for text in group), words):
                self._remember(self._prefix_keys(member, target), member)
        return False

    def _members(self, key: bytes) -> list[bytes]:
        """Return the sets of a key, each as its words with blanks between, which takes a tenth of the memory."""
        return self._sets.get(key) or []

    def _prefix_keys(self, words: frozenset[bytes], target: bytes) -> list[bytes]:
        # A set of n words and one similar to it have at least ceil(n * 4 / 5) words in common, for their union has n or
        # more. Without a common word in both prefixes they could have one fewer at most. The filter is exact under any
        # fixed order; the rarest words come first, because fewer sets have them.
        common = -(-len(words) * SIMILAR[0] // SIMILAR[1])
        rarest = sorted(words, key=self._rarity)[: len(words) - common + 1]
        return [hashlib.blake2b(target + word, digest_size=16).digest() for word in rarest]

    def _remember(self, keys: Iterable[bytes], words: frozenset[bytes]) -> None:
        text = b" ".join(words)
        for key in keys:
            self._sets[key] = [*self._members(key), text]

    def _rarity(self, word: bytes) -> tuple[int, bytes]:
        """Return the place of a word in the order of prefixes, which never changes."""
        ranks = self._ranks
        rank = ranks.setdefault(word, len(ranks)) if len(ranks) < _RANKED else ranks.get(word, _RANKED)
        return -rank, word


def _is_near_one_of(others: Iterable[bytes], words: frozenset[bytes]) -> bool:
    """Compare ``common / (left + right - common)`` with the threshold, in whole numbers.

    Multiplied out, because a float's 0.8 is not 4/5: sets exactly at the threshold would fall on either side.
    """
    part, whole = SIMILAR
    size = len(words)
    least, most = -(-size * part // whole), size * whole // part  # words of a set that can be similar
    for text in others:
        other = text.split()
        if least <= len(other) <= most:
            common = len(words.intersection(other))
            if common * (part + whole) >= part * (size + len(other)):
                return True
    return False

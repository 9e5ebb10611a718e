"""Duplicates among requests, exact and near, and requests that would have two answers.

Two requests are one where their normal forms agree. They are near duplicates where their targets agree and the Jaccard
similarity of their sets of words is at least the threshold. Near duplicates are found without comparing all pairs:
under a fixed order of words, rare first, two sets that similar share a word among their first ``n - ceil(t * n) + 1``
(prefix filtering: Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007; Chaudhuri et al., ICDE
2006). The result is exact.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import lru_cache

SIMILAR = (4, 5)  # the least Jaccard similarity of near duplicates, as a fraction
SMALL = 5  # sets; a smaller group is compared whole, an index would cost more than it saves
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


Words = tuple[int, ...]
"""The distinct words of a request as numbers, in ascending order."""


class _Group:
    """The word sets of one target, found again by the words of their prefixes.

    Only requests with the same target are compared: two that nearly agree and have different answers show a model which
    word matters. A near duplicate does not join the group, so a chain of small steps cannot close off a whole region.
    """

    __slots__ = ("_postings", "_sets")

    def __init__(self) -> None:
        self._sets: list[Words] = []
        self._postings: dict[int, list[Words]] | None = None

    def has_near(self, words: Words) -> bool:
        """Is a set in the group similar enough? If not, the set joins the group."""
        mine = frozenset(words)
        if self._postings is None:
            if any(_is_near(mine, other) for other in self._sets):
                return True
            self._sets.append(words)
            if len(self._sets) == SMALL:
                self._postings = {}
                for member in self._sets:
                    self._index(self._postings, member, _prefix(member))
                self._sets = []
            return False
        prefix = _prefix(words)
        if any(_is_near(mine, other) for word in prefix for other in self._postings.get(word, ())):
            return True
        self._index(self._postings, words, prefix)
        return False

    @staticmethod
    def _index(postings: dict[int, list[Words]], words: Words, prefix: Words) -> None:
        for word in prefix:
            postings.setdefault(word, []).append(words)


def _prefix(words: Words) -> Words:
    # A set of n words and one similar to it have at least ceil(n * 4 / 5) words in common, for their union has n or
    # more. Without a common word in both prefixes they could have one fewer at most. Words that were first seen late
    # have high numbers and are rare, so the prefix takes them; the filter is exact under any fixed order.
    common = -(-len(words) * SIMILAR[0] // SIMILAR[1])
    return words[::-1][: len(words) - common + 1]


def _is_near(left: frozenset[int], right: Words) -> bool:
    """Compare ``common / (left + right - common)`` with the threshold, in whole numbers.

    Multiplied out, because a float's 0.8 is not 4/5: sets exactly at the threshold would fall on either side.
    """
    common = len(left.intersection(right))
    return common * (SIMILAR[0] + SIMILAR[1]) >= SIMILAR[0] * (len(left) + len(right))


_TWO_TARGETS = -1


class Deduplicator:
    """Remembers every request that it was shown, by digests and numbers: about half a kilobyte each."""

    def __init__(self) -> None:
        self._targets: dict[bytes, int] = {}  # digest of the normal form -> number of the target, or _TWO_TARGETS
        self._numbers: dict[bytes, int] = {}  # digest of a target -> its number
        self._groups: list[_Group] = []  # by the number of the target
        self._words: dict[str, int] = {}

    def add(self, form: str, target: str) -> Finding:
        """Judge a request by its normal form and the canonical text of its target.

        Where it is AMBIGUOUS the earlier request of that form is to be dropped too. A near duplicate is remembered for
        its form, so that another target for the same words is still found.
        """
        key, number = digest_of(form), self._number(target)
        known = self._targets.get(key)
        if known is not None and known != number:
            self._targets[key] = _TWO_TARGETS
            return Finding.AMBIGUOUS
        if known is not None:
            return Finding.DUPLICATE
        self._targets[key] = number
        return Finding.NEAR_DUPLICATE if self._groups[number].has_near(self._words_of(form)) else Finding.NEW

    def _number(self, target: str) -> int:
        number = self._numbers.setdefault(digest_of(target), len(self._groups))
        if number == len(self._groups):
            self._groups.append(_Group())
        return number

    def _words_of(self, form: str) -> Words:
        words = self._words
        return tuple(sorted({words.setdefault(word, len(words)) for word in form.split()}))

"""Duplicates among requests, exact and near, and requests that would have two answers.

Two requests are one where their normal forms agree. They are near duplicates where their targets agree and the Jaccard
similarity of their sets of words is at least the threshold. Near duplicates are found without comparing all pairs:
under a fixed order of words, rare first, two sets that similar share a word among their first ``n - ceil(t * n) + 1``
(prefix filtering: Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007; Chaudhuri et al., ICDE
2006). The result is exact.
"""

from __future__ import annotations

from enum import Enum

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


class Finding(Enum):
    """What a deduplicator says of a request."""

    NEW = "new"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    AMBIGUOUS = "ambiguous: the same request with another answer"


class _Group:
    """The word sets of one target, found again by the words of their prefixes.

    Only requests with the same target are compared: two that nearly agree and have different answers show a model which
    word matters. A near duplicate does not join the group, so a chain of small steps cannot close off a whole region.
    """

    __slots__ = ("_places", "_postings", "_sets")

    def __init__(self) -> None:
        self._sets: list[frozenset[str]] = []
        self._places: dict[str, int] = {}  # word -> when it was first seen: a fixed order, late ones rare
        self._postings: dict[str, list[frozenset[str]]] = {}

    def has_near(self, words: frozenset[str]) -> bool:
        """Is a set in the group similar enough? If not, the set joins the group."""
        if len(self._sets) < SMALL:
            if any(_is_near(words, other) for other in self._sets):
                return True
            self._sets.append(words)
            if len(self._sets) == SMALL:
                for member in self._sets:
                    self._index(member, self._prefix(member))
            return False
        prefix = self._prefix(words)
        if any(_is_near(words, other) for word in prefix for other in self._postings.get(word, ())):
            return True
        self._index(words, prefix)
        return False

    def _index(self, words: frozenset[str], prefix: list[str]) -> None:
        for word in prefix:
            self._postings.setdefault(word, []).append(words)

    def _prefix(self, words: frozenset[str]) -> list[str]:
        places = self._places
        # New words get their places in the order of a hash table, which differs from run to run. The answer does not:
        # the filter is exact under any order, so long as it is one order for all sets, and no place ever changes.
        for word in words:
            if word not in places:
                places[word] = len(places)
        # A set of n words and one similar to it have at least ceil(n * 4 / 5) words in common, for their union has n
        # or more. Without a common word in both prefixes they could have one fewer at most.
        common = -(-len(words) * SIMILAR[0] // SIMILAR[1])
        return sorted(words, key=places.__getitem__, reverse=True)[: len(words) - common + 1]


def _is_near(left: frozenset[str], right: frozenset[str]) -> bool:
    """Compare ``common / (left + right - common)`` with the threshold, in whole numbers.

    Multiplied out, because a float's 0.8 is not 4/5: sets exactly at the threshold would fall on either side.
    """
    common = len(left & right)
    return common * (SIMILAR[0] + SIMILAR[1]) >= SIMILAR[0] * (len(left) + len(right))


class Deduplicator:
    """Remembers every request that it was shown."""

    def __init__(self) -> None:
        self._targets: dict[str, str | None] = {}  # normal form -> target; None where it had two
        self._groups: dict[str, _Group] = {}

    def add(self, form: str, target: str) -> Finding:
        """Judge a request by its normal form and the canonical text of its target.

        Where it is AMBIGUOUS the earlier request of that form is to be dropped too. A near duplicate is remembered for
        its form, so that another target for the same words is still found.
        """
        known = self._targets.get(form, target)
        if known != target:
            self._targets[form] = None
            return Finding.AMBIGUOUS
        if form in self._targets:
            return Finding.DUPLICATE
        self._targets[form] = target
        group = self._groups.get(target)
        if group is None:
            group = self._groups[target] = _Group()
        return Finding.NEAR_DUPLICATE if group.has_near(frozenset(form.split())) else Finding.NEW

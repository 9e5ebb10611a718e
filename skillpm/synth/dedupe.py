"""Duplicates among requests, exact and near, and requests that would have two answers.

Two requests are one where their normal forms agree. They are near duplicates where their targets agree and the Jaccard
similarity of their sets of words is at least the threshold. Near duplicates are found without comparing all pairs:
under a fixed order of words, rare first, two sets that similar share a word among their first ``n - ceil(t * n) + 1``,
and two words among one more (prefix filtering: Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW
2007; Wang, Li and Feng, "Can We Beat the Prefix Filtering?", SIGMOD 2012). The result is exact. Words that say the
target stand in every request for it, so they come last in that order. What was seen is on disk, so the memory does not
grow with the number of requests. Forms and targets are told apart by Python's hash of 64 bits: in one of ten million
runs with a million rows, two of them share one, and a row is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import combinations
from struct import Struct

from skillpm.storage.temporary_database import DigestMap

SIMILAR = (4, 5)  # the least Jaccard similarity of near duplicates, as a fraction
SMALL = 5  # sets; a smaller group is compared whole, an index would cost more than it saves
SHORT = 20  # words; the sets of longer requests would have too many pairs of words
_RANKED = 1 << 14  # words whose place in the order is kept in memory
_SEVERAL = -1  # the target of a request that has two: the hash of no text
_NO_ROW = -1
_MEMBER = Struct("QQ")  # the mask of a set of words, and its number
_MARKS = ".,!?;:"
_QUOTES = "\"'`“”‘’()"


def normal_form(request: str) -> str:
    """Return the form in which requests are compared: case, white space, and the marks around words do not count.

    Marks inside or before a word do: ``v1.2`` is not ``v12``, ``.env`` is not ``env``, and a lone ``/`` is a word.
    """
    words = request.casefold().split()
    return " ".join([word if word.isalnum() else _bare(word) for word in words])


def _bare(word: str) -> str:
    """Return a word without the marks after it and the quotes around it; what is only marks stays."""
    return word.strip(_QUOTES).rstrip(_MARKS).rstrip(_QUOTES) or word


class Finding(Enum):
    """What a deduplicator says of a request."""

    NEW = "new"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    AMBIGUOUS = "ambiguous: the same request with another answer"


class Deduplicator:
    """Remembers every request that it was shown, on disk, and the number of its row.

    Only requests with the same target are compared: two that nearly agree and have different answers show a model which
    word matters. A near duplicate is not compared with later ones, so a chain of small steps cannot close off a whole
    region.

    Attributes:
        targets: how many different ones the rows have.
    """

    def __init__(self) -> None:
        self.targets = 0
        self._forms = DigestMap()  # form -> its target, the number of its row
        # A set of words is kept as the text that has them, which takes a tenth of the memory.
        self._groups = DigestMap()  # target -> how many rows; forms while they are few, then the words of them all
        self._indexed = 0  # sets, each with a number
        self._sets = DigestMap()  # number -> form
        self._index = DigestMap()  # key of a prefix -> masks and numbers of sets
        self._order = _WordOrder()

    def __contains__(self, key: int) -> bool:
        """Has the form with this hash a row?"""
        known = self._forms.get(key)
        return known is not None and known[1] != _NO_ROW

    def __iter__(self) -> Iterator[int]:
        """Yield the hashes of the forms that have a row, in their order."""
        return (key for key, known in self._forms.items() if known[1] != _NO_ROW)

    def add(self, form: str, target: str, row: int = _NO_ROW) -> Finding:
        """Judge a request by its normal form and the canonical text of its target; ``row`` is its number if it is NEW.

        Where it is AMBIGUOUS the earlier request of that form is to be dropped too. A near duplicate is remembered for
        its form, so that another target for the same words is still found.
        """
        key, answer = hash(form), hash(target)
        known = self._forms.get(key)
        if known is None:
            is_near = self._has_near(form, answer, row)
            self._forms[key] = (answer, _NO_ROW if is_near else row)
            return Finding.NEAR_DUPLICATE if is_near else Finding.NEW
        target_before, row_before = known
        if target_before == answer:
            return Finding.DUPLICATE
        if row_before != _NO_ROW:
            self._lose(target_before)
        self._forms[key] = (_SEVERAL, row_before)
        return Finding.AMBIGUOUS

    def forget(self, form: str) -> int | None:
        """Remember that a form has no row any more, and return the number of the one that it had."""
        key = hash(form)
        target, row = self._forms.get(key)
        if row == _NO_ROW:
            return None
        if target != _SEVERAL:
            self._lose(target)
        self._forms[key] = (target, _NO_ROW)
        return int(row)

    def _lose(self, target: int) -> None:
        rows, forms, common = self._groups.get(target)
        self._groups[target] = (rows - 1, forms, common)
        self.targets -= rows == 1

    def _has_near(self, form: str, target: int, row: int) -> bool:
        """Is an earlier set of words with this target similar enough? If not, this one is remembered."""
        rows, forms, common = self._groups.get(target) or (0, [], None)
        if common is not None:
            if self._is_near_indexed(form, target, common):
                return True
        elif forms and _is_near_one_of(forms, frozenset(form.split())):
            return True
        else:
            forms = [*forms, form]
            if len(forms) == SMALL:
                common, forms = self._index_all(forms, target), []
        is_row = row != _NO_ROW
        self.targets += is_row and rows == 0
        self._groups[target] = (rows + is_row, forms, common)
        return False

    def _index_all(self, forms: Sequence[str], target: int) -> str:
        """Index the first sets of a target, and return the words that they have in common."""
        common = " ".join(frozenset.intersection(*(frozenset(form.split()) for form in forms)))
        for form in forms:
            self._is_near_indexed(form, target, common)
        return common

    def _is_near_indexed(self, form: str, target: int, common: str) -> bool:
        """Is an indexed set of words with this target similar enough? If not, this one is indexed."""
        words = frozenset(form.split())
        keys, mask = self._prefix_keys(words, target, common.split()), _mask(words)
        members = [self._index.get(key) or b"" for key in keys]
        # Of two near sets at most a quarter as many words as one has stand in one alone, so no more bits differ.
        alike = {
            number
            for some in members
            for other, number in _MEMBER.iter_unpack(some)
            if (mask ^ other).bit_count() * 4 <= len(words)
        }
        if _is_near_one_of(map(self._sets.get, alike), words):
            return True
        self._indexed += 1
        self._sets[self._indexed] = form
        for key, some in zip(keys, members, strict=True):
            self._index[key] = some + _MEMBER.pack(mask, self._indexed)
        return False

    def _prefix_keys(self, words: frozenset[str], target: int, common: Sequence[str]) -> list[int]:
        # A set of n words and one similar to it have at least ceil(n * 4 / 5) words in common, for their union has n or
        # more. Behind the first of these, or the first two, stand all the others: so those have their places among the
        # first words of both sets. This holds under any fixed order; the rarest words come first, because fewer sets
        # have them. A set near to one of at most SHORT words has at most a quarter more, so sets of lengths between
        # the two have keys of both kinds.
        alone = len(words) - -(-len(words) * SIMILAR[0] // SIMILAR[1])
        order = self._order.__getitem__
        rarest = sorted(words.difference(common), key=order)
        if len(rarest) < alone + 2:
            rarest += sorted(words.intersection(common), key=order)
        keys: list[int] = []
        if len(words) * SIMILAR[0] <= SHORT * SIMILAR[1]:
            keys += [hash((target, *pair)) for pair in combinations(rarest[: alone + 2], min(2, len(words)))]
        if len(words) > SHORT:
            keys += [hash((target, word)) for word in rarest[: alone + 1]]
        return keys


class _WordOrder(dict[str, int]):
    """The fixed order of words in prefixes: a word that is first seen later is rarer and comes earlier.

    When it is full, the words that it does not have come first, in the order of their hashes.
    """

    def __missing__(self, word: str) -> int:
        if len(self) >= _RANKED:
            return -_RANKED - (hash(word) & sys.maxsize)
        place = self[word] = -len(self)
        return place


def _mask(words: Iterable[str]) -> int:
    """Return one bit for each word; several words may have the same."""
    mask = 0
    for word in words:
        mask |= 1 << (hash(word) & 63)
    return mask


def _is_near_one_of(sets: Iterable[str], words: frozenset[str]) -> bool:
    """Compare ``common / (left + right - common)`` with the threshold, in whole numbers.

    Multiplied out, because a float's 0.8 is not 4/5: sets exactly at the threshold would fall on either side.
    """
    part, whole = SIMILAR
    for text in sets:
        other = {*text.split()}
        common = len(words & other)
        if common * (part + whole) >= part * (len(words) + len(other)):
            return True
    return False

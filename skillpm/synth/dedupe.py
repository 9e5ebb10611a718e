"""Duplicates among requests, exact and near, and requests that would have two answers.

Two requests are one where their normal forms agree. They are near duplicates where their targets agree and the Jaccard
similarity of their sets of words is at least the threshold. To find them among many, each word of a target has one bit
for each request, and a request is compared with all of them at once: word by word, those that lack too many drop out.
The result is exact. What was seen is on disk, so the memory does not grow with the number of requests. Forms and
targets are told apart by Python's hash of 64 bits: in one of ten million runs with a million rows, two of them share
one, and a row is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from skillpm.storage.temporary_database import DigestMap
from skillpm.synth.words import UNSPACED

SIMILAR = (4, 5)  # the least Jaccard similarity of near duplicates, as a fraction
SMALL = 16  # requests; a smaller group is compared one by one, an index would cost more than it saves
_BLOCK = 1 << 13  # requests that are compared at once
_BLOCKS = 1 << 7  # in memory
_GROUPS = 1 << 13  # in memory, each with up to SMALL requests
_KNOWN = 1 << 14  # words whose form is known
_SEVERAL = -1  # the target of a request that has two: the hash of no text
_NO_ROW = -1
_MARKS = ".,!?;:"
_UNSEEN = {**dict.fromkeys((0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF)), ord("’"): "'"}
_UNSPACED = re.compile(UNSPACED)
_QUOTES = "\"'`“”‘’()"


def normal_form(request: str) -> str:
    """Return the form in which requests are compared: case, white space, encoding and marks around words do not count.

    Marks inside or before a word do: ``v1.2`` is not ``v12``, ``.env`` is not ``env``, and a lone ``/`` is a word.
    """
    folded = request.casefold() if request.isascii() else _folded(request)
    return " ".join(map(_bare, folded.split()))


def _folded(text: str) -> str:
    """Return a text without case, and without what only its encoding tells apart: composed letters, widths, marks.

    Source: The Unicode Standard, 3.13, D146 (compatibility caseless match), without characters that nobody sees.
    """
    for form in ("NFD", "NFKC"):
        text = unicodedata.normalize(form, text).casefold()
    return _UNSPACED.sub(r" \g<0> ", unicodedata.normalize("NFKC", text).translate(_UNSEEN))


class _BareWords(dict[str, str]):
    """Words without the marks after them and the quotes around them; what is only marks stays."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _KNOWN:
            self.clear()
        bare = self[word] = word.strip(_QUOTES).rstrip(_MARKS).rstrip(_QUOTES) or word
        return bare


_bare = _BareWords().__getitem__


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
        self._groups = DigestMap(_GROUPS)  # target -> how many rows; forms while they are few; how many are indexed
        self._index = DigestMap(_BLOCKS)  # target, number of a block -> which of its forms have a word, or a size

    def __contains__(self, key: int) -> bool:
        """Has the form with this hash a row?"""
        known = self._forms.get(key)
        return known is not None and known[1] != _NO_ROW

    def __iter__(self) -> Iterator[int]:
        """Yield the hashes of the forms that have a row, in their order."""
        return (key for key, known in self._forms.items() if known[1] != _NO_ROW)

    def avoid(self, form: str, target: str) -> None:
        """Remember a request that is no row, whatever it is near to: its own near duplicates are to be found."""
        key, answer = hash(form), hash(target)
        if key not in self._forms:
            self._forms[key] = (answer, _NO_ROW)
        self._remember(form, answer, _NO_ROW)

    def add(self, form: str, target: str, row: int) -> Finding:
        """Judge a request by its normal form and what tells its target from others; ``row`` is its number if it is NEW.

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
        rows, forms, indexed = self._groups.get(target)
        self._groups[target] = (rows - 1, forms, indexed)
        self.targets -= rows == 1

    def _has_near(self, form: str, target: int, row: int) -> bool:
        """Is an earlier request with this target similar enough? If not, this one is remembered."""
        _, forms, indexed = self._groups.get(target) or (0, [], 0)
        if forms or indexed:
            words = frozenset(form.split())
            if _is_near_one_of(forms, words) or self._is_near_indexed(words, target, indexed):
                return True
        self._remember(form, target, row)
        return False

    def _remember(self, form: str, target: int, row: int) -> None:
        """Let later requests with this target be compared with this one."""
        rows, forms, indexed = self._groups.get(target) or (0, [], 0)
        forms = [*forms, form]
        if indexed or len(forms) == SMALL:
            indexed, forms = self._with_indexed(forms, target, indexed), []
        is_row = row != _NO_ROW
        self.targets += is_row and rows == 0
        self._groups[target] = (rows + is_row, forms, indexed)

    def _is_near_indexed(self, words: frozenset[str], target: int, indexed: int) -> bool:
        """Is one of the indexed requests with this target similar enough?"""
        blocks = (self._index.get(hash((target, block))) for block in range(-(-indexed // _BLOCK)))
        return any(_is_near_in_block(words, block) for block in blocks)

    def _with_indexed(self, forms: Sequence[str], target: int, indexed: int) -> int:
        """Index further requests of a target, and return how many it has then."""
        for number, form in enumerate(forms, indexed):
            key, bit = hash((target, number // _BLOCK)), 1 << number % _BLOCK
            block = self._index.get(key) or {}
            words = {*form.split()}
            for item in (len(words), *words):
                block[item] = block.get(item, 0) | bit
            self._index[key] = block
        return indexed + len(forms)


def _is_near_in_block(words: frozenset[str], block: Mapping[str | int, int]) -> bool:
    """Is a request similar enough to one of a block, whose words and sizes have a bit for each request?"""
    # A request of m words is near one of n if it lacks no more of its words than n - (n + m) * t / (1 + t). How many it
    # lacks is counted for all requests at once: a digit of all counters is one number, with a bit for each. A counter
    # begins so far below a power of two that it overflows with the first word too many.
    part, whole = SIMILAR
    count = len(words)
    fewest = -(-count * part // whole)
    near, digits = 0, [0] * (count - fewest).bit_length()
    for size in range(fewest, count * whole // part + 1):
        if size in block:
            near |= block[size]
            spare = count - -(-part * (count + size) // (part + whole))
            for place in range(len(digits)):
                if not spare >> place & 1:
                    digits[place] |= block[size]
    for word in words:
        if not near:
            return False
        lacking = near & ~block.get(word, 0)
        for place, digit in enumerate(digits):
            digits[place] = digit ^ lacking
            lacking &= digit
        near ^= lacking
    return near != 0


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

"""The split, made before anything is generated: values and phrasings that training never shows.

What is held out follows from content alone, never from a seed, so that a value or a phrasing which training shows under
one seed cannot be held out under another. A value is one value wherever it stands: what a seed, a phrasing, a constant
or a shared pool shows is not held out of any other pool, and a list is on one side in every order. Splitting by entity
and by template instead of by row is what keeps the targets of training out of the evaluation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.formats.document import Document
from skillpm.model.synthesis import CLAUSE, SLOT, Pool, SynthesisDocument, TaskRule, scalars
from skillpm.model.task import Seed, Split, request_key
from skillpm.synth.pools import (
    LISTED,
    Composed,
    Listed,
    ListedDays,
    Ranged,
    Sampled,
    Several,
    Source,
    choice_of,
    known_as,
    listed,
    members,
    size,
    texts_of,
    used_pools,
    validator_of,
    value_text,
)
from skillpm.synth.spelling import Spellings
from skillpm.synth.words import WORD, stands_in

SHARED_BELOW = 4  # members; an enumeration this small is knowledge that both sides need
_ONE = "the contract calls all of them the same, within its tolerance"
_SHOWN = "a seed, a phrasing or another pool shows every value that could be held out"
_DIGITS = 100  # of a number that is looked for in ranges
_HOLE = re.compile(rf"(?:{SLOT.pattern}|{CLAUSE.pattern})".replace("([", "(?:["))


class PoolSplit(Document):
    """How one pool was split.

    Attributes:
        values: how many there are.
        train: values that training may show; None where they are not counted one by one.
        held_out: values that only held-out rows show; None likewise.
        shared: why both sides draw from all of it, or None where it is split.
    """

    values: int
    train: int | None
    held_out: int | None
    shared: str | None = None


@dataclass(frozen=True, slots=True)
class Division:
    """Which values and phrasings are held out.

    Attributes:
        share: of what has no entry in ``sides``, by rank.
        sides: the text of a value -> is it held out?
        phrasings: the requests, clauses and frames that are held out, by ``phrasing_key``.
        pools: how each pool was split, by name.
    """

    share: float
    sides: Mapping[str, bool]
    phrasings: frozenset[str]
    pools: Mapping[str, PoolSplit] = field(default_factory=dict)

    def is_held_out(self, text: str) -> bool:
        """Is the value with this text kept from training?"""
        side = self.sides.get(text)
        return rank(text) < self.share if side is None else side

    def is_split(self, texts: Sequence[str]) -> bool:
        """Has this list of phrasings members on both sides?"""
        return len({phrasing_key(text) in self.phrasings for text in texts}) == 2

    def phrasings_of(self, texts: Sequence[str], split: Split) -> tuple[str, ...]:
        """Return the phrasings that one side uses, each once: all of them where the list is not split."""
        # read backwards and returned forwards: of several spellings of one phrasing the first that was written stays
        unique = {phrasing_key(text): text for text in reversed(texts)}
        held, split_list = split == "held_out", self.is_split(texts)
        chosen = [text for key, text in unique.items() if not split_list or (key in self.phrasings) == held]
        return tuple(reversed(chosen))

    def sources(self, document: SynthesisDocument, split: Split) -> dict[str, Source]:
        """Return a source for each used pool that draws from one side only."""
        sources: dict[str, Source] = {}
        pools = used_pools(document)
        # templates draw from the sources of their parts, and lists from those of plain pools and templates
        for name, pool in sorted(pools.items(), key=lambda item: (item[1].members is not None, bool(item[1].parts))):
            sources[name] = self._source(name, pool, split, sources)
        return sources

    def _source(self, name: str, pool: Pool, split: Split, sources: Mapping[str, Source]) -> Source:
        held, shared = split == "held_out", self.pools[name].shared is not None
        if pool.template is not None or pool.members is not None:
            made = Several if pool.template is None else Composed
            by_parts = any(self.pools[part].shared is None for part in pool.parts)
            if shared:
                return made(name, pool, sources, lambda text: True)
            if by_parts:
                # Each part draws from this side only, and so the whole is on this side too. Only another pool that
                # lists the same text may have put it on the other side: then it is not drawn here.
                return made(name, pool, sources, lambda text: self.sides.get(text, held) == held)
            return made(name, pool, sources, lambda text: self.is_held_out(text) == held)
        if pool.json_schema is not None and choice_of(pool) is None:
            return Sampled(name, pool.json_schema, lambda text: shared or self.is_held_out(text) == held)
        if pool.integers is not None and size(pool, {}) > LISTED:
            return Ranged(name, pool.integers, lambda text: shared or self.is_held_out(text) == held)
        every = listed(pool, {}) or ()
        mine = [item for item in every if shared or self.is_held_out(known_as(item.value)) == held]
        return Listed(mine) if pool.dates is None else ListedDays(mine)


@lru_cache(maxsize=1 << 14)
def rank(text: str) -> float:
    """Return the place of a text in [0, 1), from its digest: the same on every machine and under every seed."""
    # 48 bits, because a float holds them exactly: more would be rounded, the highest of them to 1.0
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / (1 << 48)


def hold_out(lists: Iterable[Sequence[str]], share: float, shown: Iterable[str] = ()) -> frozenset[str]:
    """Choose what to hold out of several lists that may have members in common.

    Of each list the members of lowest rank, ``share`` of them and at least one; never all of a list and never one that
    is ``shown`` anyway. A list of one member is shown. Adding a list can move a text of another to the training side,
    but a text is always on one side only.
    """
    # Short lists first: they have the fewest members to choose from, and what they hold out counts for the longer lists
    # that share it. The order is that of their content, so that it does not matter in which order a document has them.
    unique = sorted({tuple(sorted(set(members))) for members in lists}, key=lambda texts: (len(texts), texts))
    known = {*shown, *(texts[0] for texts in unique if len(texts) == 1)}
    held: set[str] = set()
    ranked = [sorted(texts, key=lambda text: (rank(text), text)) for texts in unique if len(texts) > 1]
    for texts in ranked:
        # what other lists hold out is held out here too, and not once more: else overlapping lists would add up
        wanted = min(max(1, round(share * len(texts))), len(texts) - 1)
        missing = wanted - sum(text in held for text in texts)
        free = [text for text in texts if text not in known and text not in held]
        held.update(free[: max(0, missing)])
    # No list has given all of its own, but others may have held out the rest of it. It gets its member of highest rank
    # back. That moves a text to training only: a list may now have nothing held out, but none has nothing to train.
    for texts in ranked:
        if held.issuperset(texts):
            held.discard(texts[-1])
    return frozenset(held)


def divide(document: SynthesisDocument, seeds: Sequence[Seed] = (), contract: Contract | None = None) -> Division:
    """Split the values and phrasings of a document; what the contract calls the same value is on one side."""
    pools = used_pools(document)
    spellings = Spellings(document, contract, pools, seeds)
    shared = {name: reason for name, pool in pools.items() if (reason := _why_shared(pool, pools))}
    shared |= dict.fromkeys(spellings.chains, _ONE)
    corpus = Corpus(_shown(document, seeds))
    plain = {
        name: _known_as(pool, pools)
        for name, pool in pools.items()
        if pool.template is None and pool.members is None and size(pool, pools) <= LISTED
    }
    # The words of the corpus go in whether or not a pool lists them: a value of an unlisted range or template is judged
    # by its rank alone, and must not be called held out where a phrasing says it.
    known = {text for texts in plain.values() for text in texts if corpus.shows(text)} | corpus.words
    known |= {text for name in shared for text in plain.get(name, ())}
    known |= {spellings.first(text) for text in spellings if text in known or corpus.shows(text)}
    lists = [[*map(spellings.first, plain[name])] for name in plain if name not in shared]
    held = set(hold_out(lists, document.held_out, known))
    held.update(text for text in spellings if spellings.first(text) in held)
    sides = dict.fromkeys(known, False)
    sides.update({text: text in held for texts in plain.values() for text in texts})
    for name in plain:
        if name not in shared and held.isdisjoint(plain[name]):
            shared[name] = _ONE if len({*map(spellings.first, plain[name])}) == 1 else _SHOWN
    # what is made of other pools comes after them: only now is it known which of these are split
    _divide_whole(document, pools, shared, sides, spellings)
    requests = [_words(seed.request) for seed in seeds]
    phrasing_lists = [list(map(phrasing_key, texts)) for texts in _phrasing_lists(document)]
    every = "\n".join(requests)  # a look at all of them at once tells most phrasings apart
    read = {
        text
        for text in {*chain(*phrasing_lists)}
        if _reads_like(text, every) and any(_reads_like(text, request) for request in requests)
    }
    phrasings = hold_out(phrasing_lists, document.held_out, read)
    return Division(
        document.held_out,
        sides,
        phrasings,
        {name: _pool_split(name, pool, pools, shared, sides) for name, pool in pools.items()},
    )


def _divide_whole(
    document: SynthesisDocument,
    pools: Mapping[str, Pool],
    shared: dict[str, str],
    sides: dict[str, bool],
    spellings: Spellings,
) -> None:
    """Hold out whole values of those templates, and then of those lists, none of whose parts is split."""
    for is_list in (False, True):
        whole = {
            name: _known_as(pool, pools)
            for name, pool in pools.items()
            if (pool.members if is_list else pool.template) is not None
            and name not in shared
            and size(pool, pools) <= LISTED
            and all(part in shared for part in pool.parts)
        }
        shown = [spellings.first(text) for text, side in sides.items() if not side]
        first = [[*map(spellings.first, texts)] for texts in whole.values()]
        held = {*hold_out(first, document.held_out, shown)}
        held.update(text for text in spellings if spellings.first(text) in held)
        for name, texts in whole.items():
            sides.update({text: sides.get(text, False) or text in held for text in texts})
            if held.isdisjoint(texts):
                shared[name] = _SHOWN


def _known_as(pool: Pool, pools: Mapping[str, Pool]) -> list[str]:
    return [known_as(member.value) for member in listed(pool, pools) or ()]


def _why_shared(pool: Pool, pools: Mapping[str, Pool]) -> str | None:
    if pool.choice is not None and all(isinstance(member.value, bool) for member in members(pool.choice)):
        return "booleans"
    return f"fewer than {SHARED_BELOW} values" if size(pool, pools) < SHARED_BELOW else None


def _pool_split(
    name: str, pool: Pool, pools: Mapping[str, Pool], shared: Mapping[str, str], sides: Mapping[str, bool]
) -> PoolSplit:
    values = size(pool, pools)
    if name in shared:
        return PoolSplit(values=values, train=values, held_out=values, shared=shared[name])
    train: int | None = None
    held: int | None = None
    if any(part not in shared for part in pool.parts):
        if pool.members is None and all(size(pools[part], pools) <= LISTED for part in pool.parts):
            train, held = _template_sides(pool, pools, shared, sides)
    elif values <= LISTED:
        held = sum(sides[text] for text in _known_as(pool, pools))
        train = values - held
    return PoolSplit(values=values, train=train, held_out=held)


def _template_sides(
    pool: Pool, pools: Mapping[str, Pool], shared: Mapping[str, str], sides: Mapping[str, bool]
) -> tuple[int, int]:
    """Count the combinations of training parts and those of held-out parts.

    With two split parts there are mixed combinations as well. They are on neither side: training would see a part that
    is held out, and a held-out row would have a part that training has seen.
    """
    train = held = 1
    for part in pool.parts:
        texts = texts_of(pools[part], pools)
        out = sum(sides[text] for text in texts)
        train *= len(texts) if part in shared else len(texts) - out
        held *= len(texts) if part in shared else out
    return train, held


def _phrasing_lists(document: SynthesisDocument) -> Iterator[tuple[str, ...]]:
    yield document.frames
    for rule in document.rules:
        yield rule.requests
        yield from rule.clauses.values()


@lru_cache(maxsize=1 << 14)
def phrasing_key(text: str) -> str:
    """Return the form in which two phrasings are one: case, white space and the closing mark do not count."""
    return request_key(text).rstrip(".!? ")


def _words(text: str) -> str:
    return f" {' '.join(WORD.findall(text.casefold()))} "


@lru_cache(maxsize=1 << 14)
def _literals(phrasing: str) -> tuple[str, ...]:
    """Return the words of a phrasing between its slots."""
    return tuple(words for words in map(_words, _HOLE.split(phrasing)) if words.strip())


def _reads_like(phrasing: str, request: str) -> bool:
    """Do the words of a phrasing stand in a request in this order, whatever fills its slots?"""
    start = 0
    for words in _literals(phrasing):
        # the leftmost place is enough: whatever fits behind a later one fits behind it
        place = request.find(words, start)
        if place < 0:
            return False
        start = place + len(words) - 1  # the space at the end may be the one at the beginning of the next words
    return True


class HeldOut:
    """What no training row may show, wherever its words come from: a person's, or a model's.

    A phrasing stands in a text if its words do, in their order, whatever fills its slots. A clause or a frame of one
    word stands in too many texts to say anything.

    Args:
        document: whose phrasings and values.
        division: says which of them are held out.
    """

    def __init__(self, document: SynthesisDocument, division: Division) -> None:
        requests = {phrasing_key(text) for rule in document.rules for text in rule.requests}
        words = {text: len(WORD.findall(_HOLE.sub(" ", text))) for text in division.phrasings}
        self._phrasings = [text for text, count in words.items() if count >= (1 if text in requests else 2)]
        self._values = [text for text, held in division.sides.items() if held]
        self._division = division
        pools = {name: pool for name, pool in used_pools(document).items() if division.pools[name].shared is None}
        schemas = [pool.json_schema for pool in pools.values() if choice_of(pool) is None]
        self._validators = [validator_of(schema) for schema in schemas if schema is not None]
        self._ranges = [
            pool.integers for pool in pools.values() if pool.integers is not None and size(pool, {}) > LISTED
        ]

    def stands_in(self, request: str, expected: Any = None) -> bool:
        """Does a request, or its answer, show a phrasing or a value that is held out?"""
        words = _words(request)
        if any(_reads_like(phrasing, words) for phrasing in self._phrasings):
            return True
        corpus = Corpus([request, *_leaves(expected)])
        if any(map(corpus.shows, self._values)):
            return True
        for leaf in scalars(expected) if self._validators else ():
            if self._division.is_held_out(value_text(leaf)) and any(item.is_valid(leaf) for item in self._validators):
                return True
        numbers = [int(word) for word in corpus.words if word.isascii() and word.isdigit() and len(word) < _DIGITS]
        return any(
            low <= number <= high and self._division.is_held_out(str(number))
            for low, high in self._ranges
            for number in numbers
        )


class SoughtTexts:
    """Texts that are looked for in many others, by their first word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_word: dict[str, list[str]] = {}
        for text in dict.fromkeys(texts):
            first = WORD.search(text.casefold())
            self._by_word.setdefault(first[0] if first else "", []).append(text)

    def any_in(self, corpus: Corpus) -> bool:
        """Does one of them stand in a corpus?"""
        return any(corpus.shows(text) for word in ("", *corpus.words) for text in self._by_word.get(word, ()))


class Corpus:
    """Texts that training shows whatever is drawn."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = "\n".join(texts).casefold()
        self.words = frozenset(WORD.findall(self._text))

    def shows(self, text: str) -> bool:
        """Does the text stand there, not as a part of a longer word?"""
        folded = text.casefold()
        words = WORD.findall(folded)
        if words == [folded]:
            return folded in self.words
        # a text stands nowhere where one of its words does not; the search is for the few of which all do
        return self.words.issuperset(words) and stands_in(folded, self._text)


def _shown(document: SynthesisDocument, seeds: Sequence[Seed]) -> Iterator[str]:
    for texts in _phrasing_lists(document):
        yield from (CLAUSE.sub(" ", SLOT.sub(" ", text)) for text in texts)
    for rule in document.tasks:
        yield from _constants(rule)
    for seed in seeds:
        yield seed.request
        yield from _leaves(seed.expected)


def _constants(rule: TaskRule) -> Iterator[str]:
    for leaf in _leaves((rule.args, rule.answer)):
        yield SLOT.sub(" ", leaf)
    for draw in rule.draw.values():
        yield value_text(draw.otherwise)
        if not isinstance(draw.source, str):
            for member in members(draw.source):
                yield value_text(member.value)
                yield from member.texts


def _leaves(value: Any) -> Iterator[str]:
    return map(value_text, scalars(value))

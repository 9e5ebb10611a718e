"""Pools of values: their members, and the sources that draw from one side of the split.

A source draws a ``(value, text)`` pair: what the target holds, and how the request says it. The text is one of the
``texts`` of an entry, else the value itself.
"""

from __future__ import annotations

import json
import math
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from itertools import accumulate, permutations, product
from typing import Any, Protocol

import jsonschema_rs

from skillpm.contract.schema_sampler import SchemaSampler
from skillpm.model.longest import MAX_SAMPLED
from skillpm.model.nouns import nouns
from skillpm.model.synthesis import MAX_DATES, SLOT, Draw, Entry, Pool, SynthesisDocument, entry_of
from skillpm.model.task import canonical_json
from skillpm.synth.days import written

LISTED = MAX_DATES  # members; a longer range of integers or product of parts is never written out
BETWEEN = re.compile(", | and ")  # the members of a list, as a request says it
REDRAWS = 1_000  # draws before a filtered source gives up
_FEW = 100  # values; of more, the share that is held out by rank is as good as never none
_PLAIN = 10**15  # below it a float has each whole number
_ATTEMPTS = 1_000  # draws for each member of a list, which must differ from the others: one may weigh 1,000

Chance = Callable[[], float]  # random.Random.random


class NoValueError(Exception):
    """A source has (nearly) no value on its side of the split."""


@dataclass(frozen=True, slots=True)
class Member:
    """A value, the ways in which a request says it, and how often it is drawn beside others."""

    value: Any
    texts: tuple[str, ...]
    weight: int = 1


class Source(Protocol):
    """Draws values."""

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return a value and its text. Raises NoValueError.

        Args:
            chance: chooses the value and its text.
            form: chooses in which form of its pool a day is said; ``chance`` where None.
        """


def value_text(value: Any) -> str:
    """Return a value as it stands in a longer string: text as it is, null as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    return "" if value is None else canonical_json(value)


def known_as(value: Any) -> str:
    """Return the text by which the split knows a value: of a list it is the same in every order."""
    return value_text(sorted(value, key=value_text) if isinstance(value, list) else value)


def members(items: Iterable[Any]) -> tuple[Member, ...]:
    """Return the members of a list of entries and plain values."""
    entries = map(entry_of, items)
    return tuple(Member(item.value, item.texts or (value_text(item.value),), item.weight) for item in entries)


def literals(template: str) -> tuple[str, ...]:
    """Return what stands around the pools of a template: one literal more than pools."""
    return tuple(SLOT.split(template)[0::2])


def listing_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the ways in which a person lists these texts."""
    if len(texts) == 1:
        return tuple(texts)
    joined = (" and ".join(texts), ", ".join(texts))  # as BETWEEN has them
    return joined if len(texts) == 2 else (f"{', '.join(texts[:-1])} and {texts[-1]}", *joined)


def choice_of(pool: Pool) -> Sequence[Any] | None:
    """Return the members of a pool that are written out, as its ``choice`` or in a schema of few values; else None."""
    return pool.choice if pool.json_schema is None else _few_values(canonical_json(pool.json_schema))


@lru_cache(maxsize=1 << 10)
def _few_values(schema_text: str) -> Sequence[Any] | None:
    """Return the values of a schema that has few and names them, as entries; else None."""
    schema = json.loads(schema_text)
    kind, low, high = (schema.get(key) for key in ("type", "minimum", "maximum"))
    if "const" in schema:
        values = [schema["const"]]
    elif "enum" in schema:
        values = schema["enum"]
    elif kind == "boolean":
        values = [True, False]
    elif kind == "null":
        values = [None]
    elif kind == "integer" and type(low) is type(high) is int and high - low < _FEW:
        values = [*range(low, high + 1)]
    else:
        return None
    try:
        is_valid = validator_of(schema).is_valid
    except ValueError:  # which is told where values are sampled
        return None
    unique = {canonical_json(value): value for value in map(_as_said, values) if is_valid(value)}
    return [Entry(value=value) for value in unique.values()] or None


def size(pool: Pool, pools: Mapping[str, Pool]) -> int:
    """Return how many values a pool has, counting the combinations of a template and the orders of a list."""
    choice = choice_of(pool)
    if choice is not None:
        return len(choice)
    if pool.integers is not None:
        return pool.integers[1] - pool.integers[0] + 1
    if pool.dates is not None:
        return len(pool.days)
    if pool.words is not None:
        return len(nouns())
    if pool.json_schema is not None:
        return LISTED + 1  # more than are written out, as far as anybody knows
    counts = [size(pools[name], pools) for name in pool.parts]
    if pool.members is not None:
        return sum(math.perm(counts[0], length) for length in _lengths(pool))
    return math.prod(counts)


def _lengths(pool: Pool) -> range:
    return range(pool.length[0], pool.length[1] + 1)


def listed(pool: Pool, pools: Mapping[str, Pool]) -> tuple[Member, ...] | None:
    """Return every value in order; None where they are more than LISTED and nobody has written them out."""
    choice = choice_of(pool)
    if choice is not None:
        return members(choice)
    if pool.dates is not None:
        days = map(date.fromordinal, pool.days)
        return tuple(Member(day.isoformat(), tuple(written(day, form) for form in pool.forms)) for day in days)
    if size(pool, pools) > LISTED:
        return None
    if pool.integers is not None:
        return members(range(pool.integers[0], pool.integers[1] + 1))
    if pool.words is not None:
        return members(nouns())
    if pool.members is not None:
        every = listed(pools[pool.members], pools) or ()
        orders = (order for length in _lengths(pool) for order in permutations(every, length))
        return tuple(_list_of(order) for order in orders)
    first, *tails = literals(pool.template or "")
    combinations = product(*(texts_of(pools[name], pools) for name in pool.parts))
    pairs = (zip(combination, tails, strict=True) for combination in combinations)
    return members([first + "".join(text + tail for text, tail in pair) for pair in pairs])


def _list_of(order: Sequence[Member]) -> Member:
    # of each member the first text alone: those of all together may be millions
    return Member([member.value for member in order], listing_texts([member.texts[0] for member in order]))


def texts_of(pool: Pool, pools: Mapping[str, Pool]) -> list[str]:
    """Return the text of every value that is ``listed``, in order."""
    return [value_text(member.value) for member in listed(pool, pools) or ()]


def pool_of(document: SynthesisDocument, draw: Draw) -> Pool:
    """Return the pool that fills a slot; values in its place are a pool without a name."""
    if isinstance(draw.source, str):
        return document.values[draw.source]
    return pool_with(draw.source)


def pool_with(values: Sequence[Any]) -> Pool:
    """Return a pool of these values."""
    forms = ("integers", "dates", "choice", "words", "template", "json_schema", "members")
    return Pool.made(**dict.fromkeys(forms) | {"choice": values})


def is_constant(document: SynthesisDocument, draw: Draw) -> bool:
    """Return whether a slot is always drawn, with one value."""
    return draw.probability >= 1 and size(pool_of(document, draw), document.values) == 1


def used_pools(document: SynthesisDocument) -> dict[str, Pool]:
    """Return the pools that some task draws from, and the parts of those, by name."""
    drawn = {draw.source for rule in document.tasks for draw in rule.draw.values() if isinstance(draw.source, str)}
    for _ in range(2):  # a list may be of templates, and these of plain pools
        drawn.update([part for name in drawn for part in document.values[name].parts])
    return {name: document.values[name] for name in sorted(drawn)}


class Listed:
    """Draws from members that are written out."""

    __slots__ = ("_ends", "_members")

    def __init__(self, chosen: Sequence[Member]) -> None:
        self._members = tuple((member.value, member.texts) for member in chosen)
        self._ends = tuple(accumulate(member.weight for member in chosen))

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return a member, each as often as its weight says, in one of its texts."""
        value, texts = self._members[bisect_right(self._ends, int(chance() * self._ends[-1]))]
        return value, texts[0] if len(texts) == 1 else texts[int(chance() * len(texts))]


class ListedDays(Listed):
    """Draws from days that are written out, each in the same forms in the same order."""

    __slots__ = ()

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return a day in one of its forms."""
        value, texts = self._members[int(chance() * len(self._members))]
        return value, texts[0] if len(texts) == 1 else texts[int((form or chance)() * len(texts))]


class Ranged:
    """Draws from a range of integers too long to write out; ``allowed`` tells the side of one."""

    __slots__ = ("_allowed", "_low", "_name", "_span")

    def __init__(self, name: str, integers: tuple[int, int], allowed: Callable[[str], bool]) -> None:
        self._name = name
        self._low = integers[0]
        self._span = integers[1] - integers[0] + 1
        self._allowed = allowed

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return an integer by rejection. Raises NoValueError."""
        for _ in range(REDRAWS):
            value = self._low + int(chance() * self._span)
            text = str(value)
            if self._allowed(text):
                return value, text
        raise NoValueError(self._name)


class Sampled:
    """Draws values that a JSON Schema admits; ``allowed`` tells the side of one."""

    __slots__ = ("_allowed", "_name", "_schema", "_validator")

    def __init__(self, name: str, schema: Mapping[str, Any], allowed: Callable[[str], bool]) -> None:
        self._name = name
        self._schema = schema
        self._allowed = allowed
        self._validator = validator_of(schema)

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return a value by rejection. Raises NoValueError."""
        for _ in range(REDRAWS):
            try:
                value = _as_said(SchemaSampler(self._schema, random.Random(chance())).value(self._schema))
            except (ValueError, ArithmeticError, TypeError):  # of no value, or of a bound that is no number
                continue
            text = value_text(value)
            if len(text) <= MAX_SAMPLED and self._allowed(text) and self._validator.is_valid(value):
                return value, text
        raise NoValueError(self._name)


def _as_said(value: Any) -> Any:
    """Return the number 12.0 as 12, which is the same one in JSON: nobody asks for "12.0 degrees"."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _PLAIN else value


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return what validates values with a schema, formats among them. Raises ValueError where it is none."""
    return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, offline=True)


class Composed:
    """Joins values of other sources into one string; ``allowed`` tells the side of the whole."""

    __slots__ = ("_allowed", "_first", "_name", "_rest")

    def __init__(self, name: str, pool: Pool, sources: Mapping[str, Source], allowed: Callable[[str], bool]) -> None:
        self._name = name
        self._first, *tails = literals(pool.template or "")
        self._rest = tuple((sources[part], tail) for part, tail in zip(pool.parts, tails, strict=True))
        self._allowed = allowed

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return a string by rejection. Raises NoValueError."""
        for _ in range(REDRAWS):
            value = text = self._first
            for source, tail in self._rest:
                part, said = source.draw(chance, form)
                value += value_text(part) + tail
                text += said + tail
            if self._allowed(value):
                return value, text
        raise NoValueError(self._name)


class Several:
    """Lists values of another source, no two alike; ``allowed`` tells the side of the whole."""

    __slots__ = ("_allowed", "_lengths", "_name", "_source")

    def __init__(self, name: str, pool: Pool, sources: Mapping[str, Source], allowed: Callable[[str], bool]) -> None:
        self._name = name
        self._lengths = _lengths(pool)
        self._source = sources[pool.parts[0]]
        self._allowed = allowed

    def draw(self, chance: Chance, form: Chance | None = None) -> tuple[Any, str]:
        """Return a list by rejection; a shorter one where the source has too few values. Raises NoValueError."""
        for _ in range(REDRAWS):
            wanted = self._lengths[int(chance() * len(self._lengths))]
            same = form or cache(chance)
            drawn = dict[str, tuple[Any, str]]()
            for _ in range(wanted * _ATTEMPTS):
                value, text = self._source.draw(chance, same)
                drawn.setdefault(value_text(value), (value, text))
                if len(drawn) == wanted:
                    break
            if len(drawn) < self._lengths[0]:
                break  # the source has too few values, and would have them again
            values = [value for value, _ in drawn.values()]
            if self._allowed(known_as(values)):
                ways = listing_texts([text for _, text in drawn.values()])
                return values, ways[int(chance() * len(ways))]
        raise NoValueError(self._name)

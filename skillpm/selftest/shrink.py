"""Answers by chance, and the smallest part of a text or of a list for which something still holds.

The same seed gives the same answers on every machine. Source of the shrinking: delta debugging (Zeller, Hildebrandt,
"Simplifying and Isolating Failure-Inducing Input", 2002), asking about many candidates at once.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

_CHARACTERS = '{}[]":,\\/ \n\t0123456789.eE+-truefalsn\0\x1b\u200b\u202e\ufeffé٣日😀\ud800'
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 63, 10**400, 0.5, -0.0, "", " ", "x" * 500, "\ud83d", "\0", "null",
    "../../etc/passwd", [], {}, [[]], {"": {}}, [None], {"tool": {}},
)  # fmt: skip
_ROUND = 16  # candidates that are asked about at once
_WORK = 1 << 19  # of one search: items of all candidates, and for each of them
_COST = 256
T = TypeVar("T")


def fuzzed(gold: str, count: int, *, seed: str) -> Iterator[str]:
    """Yield answers made of the expected one by chance: characters, values and structure are changed.

    The same seed and text give the same answers.
    """
    chance = random.Random(f"{seed}:{gold}")
    for _ in range(count):
        make = chance.choice((_characters, _characters, _values, _values, _noise))
        yield make(gold, chance)


def _characters(gold: str, chance: random.Random) -> str:
    text = list(gold) or [""]
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(text))
        deed = chance.randrange(4)
        if deed == 0:
            text[place] = ""
        elif deed == 1:
            text[place] += chance.choice(_CHARACTERS)
        elif deed == 2:
            text[place] = chance.choice(_CHARACTERS)
        else:
            text[place] = "".join(text[place : place + chance.randint(1, 20)]) * 2
    return "".join(text)


def _values(gold: str, chance: random.Random) -> str:
    try:
        value = json.loads(gold)
    except ValueError:
        return _noise(gold, chance)
    for _ in range(chance.randint(1, 3)):
        value = _changed(value, chance)
    return json.dumps(value)


def _changed(value: Any, chance: random.Random) -> Any:
    """Return the value with one part of it changed, removed or added."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        if chance.random() < 0.15:
            return {key: item for key, item in value.items() if key != name}
        if chance.random() < 0.15:
            return {**value, chance.choice(("", "tool", "args", "__class__", "\u200b")): chance.choice(_VALUES)}
        return {**value, name: _changed(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], _changed(value[place], chance), *value[place + 1 :]]
    return chance.choice(_VALUES)


def _noise(gold: str, chance: random.Random) -> str:
    return "".join(chance.choice(_CHARACTERS) for _ in range(chance.randint(0, 60)))


def shortest(text: str, fails: Callable[[Sequence[str]], Sequence[bool]]) -> str:
    """Return a text with parts left out for which ``fails`` still holds, and, as a rule, for none with one less.

    ``fails`` holds for the text, and is asked about many candidates at once.
    """
    return "".join(fewest(text, fails))


def fewest(items: Sequence[T], fails: Callable[[Sequence[Any]], Sequence[bool]]) -> Sequence[T]:
    """Return the items without some of them for which ``fails`` still holds; as ``shortest``, over any items.

    How many questions are asked is bounded; of a very long text what is left may not be the least.
    """
    if not items or fails([items[:0]])[0]:
        return items[:0]
    # Runs of half the items are left out first, then of a quarter, down to single ones: what does not matter goes in
    # few questions. Runs of one are tried until a whole pass leaves nothing out, since what is left out late can make
    # an early item unnecessary. The work is bounded by the items of all candidates: a search ends the same everywhere.
    work, size = _WORK, max(1, len(items) // 2)
    while work > 0:
        length = len(items)
        items, work = _without(items, size, fails, work)
        if size == 1 and len(items) == length:
            break
        size = max(1, min(size, len(items)) // 2)
    return items


def _without(
    items: Sequence[T], size: int, fails: Callable[[Sequence[Any]], Sequence[bool]], work: int
) -> tuple[Sequence[T], int]:
    """Leave out runs of ``size`` items, one after another; return the items and the remaining ``work``."""
    place = 0
    while place < len(items) and work > 0:
        # Many candidates are one question, because a batch costs one round trip to the worker. The first that still
        # fails is taken, and the ones after it were made from items that no longer stand, so they are made again.
        starts = range(place, min(len(items), place + size * _ROUND), size)
        candidates = [_joined(items[:start], items[start + size :]) for start in starts]
        verdicts = fails(candidates)
        work -= sum(_COST + len(candidate) for candidate in candidates)
        first = next((index for index, failing in enumerate(verdicts) if failing), None)
        if first is None:
            place += size * len(starts)
        else:
            items, place = candidates[first], starts[first]
    return items, work


def _joined(left: Sequence[T], right: Sequence[T]) -> Sequence[T]:
    joined: Sequence[T] = left + right  # type: ignore[operator]
    return joined

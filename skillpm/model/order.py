"""An order by chance that no version of Python changes."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import TypeVar

T = TypeVar("T")


def shuffle(items: MutableSequence[T], bits: Callable[[int], int]) -> None:
    """Bring the items into an order in which each is as likely as any other.

    Python promises the numbers of a seeded ``random.Random``, and not what ``shuffle`` and ``sample`` do with them. The
    rows of a seed must be the same bytes everywhere, so the walk is ours.

    Args:
        items: in a fixed order.
        bits: returns a number of so many random bits, such as ``random.Random(seed).getrandbits``.

    Source: R. Durstenfeld, Algorithm 235, Communications of the ACM 7 (1964).
    """
    for last in range(len(items) - 1, 0, -1):
        other = last + 1
        while other > last:  # a number that is too large is drawn again: a remainder would prefer the first items
            other = bits((last + 1).bit_length())
        items[last], items[other] = items[other], items[last]

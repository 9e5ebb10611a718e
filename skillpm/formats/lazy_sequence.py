"""A sequence whose members are made when they are asked for, so that a million of them need not be in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """The members ``at(place)`` for each of some places.

    Args:
        places: in order.
        at: returns the member of a place; it may be asked for the same one again.
    """

    def __init__(self, places: Sequence[int], at: Callable[[int], T]) -> None:
        self._places = places
        self._at = at

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> LazySequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | LazySequence[T]:
        chosen = self._places[place]
        return self._at(chosen) if isinstance(chosen, int) else LazySequence(chosen, self._at)

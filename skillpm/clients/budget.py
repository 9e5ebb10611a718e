"""The list of names and descriptions that an agent shows its model, fitted into the agent's budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from skillpm.clients.agent import Budget, Overflow


@dataclass(frozen=True, slots=True)
class Entry:
    """One skill that an agent lists; ``location`` is the path of its folder."""

    name: str
    description: str
    location: str


@dataclass(frozen=True, slots=True)
class FittedList:
    """A list of skills, fitted into an agent's budget.

    Attributes:
        limit: characters of the budget.
        used: characters of the whole list.
        affected: the least number of skills that lose their description, a part of it, or their place.
        dropped: the skills that are not listed, if the agent's order is known.
        length: characters to which all descriptions are cut, or None.
    """

    json_keys: ClassVar = ("limit", "used", "skills", "fits", "overflow", "affected", "dropped")
    overflow: Overflow
    limit: int
    used: int
    skills: int
    affected: int = 0
    dropped: tuple[str, ...] = ()
    length: int | None = None

    @property
    def fits(self) -> bool:
        """Does the model see all of it?"""
        return self.used <= self.limit


def fit_list(entries: Iterable[Entry], budget: Budget, window: int | None = None) -> FittedList:
    """Fit a list as the agent does; of two skills with one name, the last counts.

    ``window`` has the tokens of the model's context; None means the agent's usual one.
    """
    listed = sorted({entry.name: entry for entry in entries}.values(), key=lambda entry: entry.name)
    descriptions = [_shown(entry.description, budget) for entry in listed]
    lines = [
        len(budget.entry.format(name=entry.name, description=text, location=entry.location))
        for entry, text in zip(listed, descriptions, strict=True)
    ]
    fitted = FittedList(budget.overflow, budget.limit(window), sum(lines), len(listed))
    if fitted.fits:
        return fitted
    names = [entry.name for entry in listed]
    sizes = [len(text) for text in descriptions]
    return _FIT[budget.overflow](fitted, names, lines, sizes)


def _shown(description: str, budget: Budget) -> str:
    """Return a description as listed: in one line, and escaped if the list is XML."""
    text = " ".join(description.split())[: budget.description]
    if not budget.entry.startswith("<"):
        return text
    import html

    return html.escape(text)


def _forget(whole: FittedList, _names: Sequence[str], _lines: Sequence[int], sizes: Sequence[int]) -> FittedList:
    """Count the longest descriptions until the list fits: only the agent knows which it drops, so this is the least."""
    over, affected = whole.used - whole.limit, 0
    for size in sorted(sizes, reverse=True):
        if over <= 0 or size == 0:
            break
        over, affected = over - size, affected + 1
    return replace(whole, affected=affected)


def _shorten(whole: FittedList, names: Sequence[str], lines: Sequence[int], sizes: Sequence[int]) -> FittedList:
    """Cut all descriptions to one length; if the names alone are too long, list names in order while they fit.

    The length is the largest L with sum(min(size, L)) <= room (water-filling). Sizes are visited from the shortest: a
    description that is at most an equal share of the remaining room stays whole, and the room that it leaves over goes
    to the longer ones. The first that exceeds its share fixes L for itself and all that follow. O(n log n).
    """
    bare = [line - size for line, size in zip(lines, sizes, strict=True)]
    room = whole.limit - sum(bare)
    if room < 0:
        dropped = _beyond(names, bare, whole.limit, stop=False)
        return replace(whole, affected=whole.skills, dropped=dropped, length=0)
    length, remaining = 0, sorted(sizes)
    while remaining and (room // len(remaining)) >= remaining[0]:
        length = remaining.pop(0)
        room -= length
    length = room // len(remaining) if remaining else length
    affected = sum(1 for size in sizes if size > length)
    return replace(whole, affected=affected, length=length)


def _cut(whole: FittedList, names: Sequence[str], lines: Sequence[int], _sizes: Sequence[int]) -> FittedList:
    """End the list before the first skill that does not fit."""
    dropped = _beyond(names, lines, whole.limit, stop=True)
    return replace(whole, affected=len(dropped), dropped=dropped)


def _beyond(names: Sequence[str], lines: Sequence[int], limit: int, *, stop: bool) -> tuple[str, ...]:
    """Return the names that do not fit; with ``stop``, all names after the first of them."""
    used = 0
    dropped: list[str] = []
    for name, line in zip(names, lines, strict=True):
        if used + line > limit or (stop and dropped):
            dropped.append(name)
        else:
            used += line
    return tuple(dropped)


_FIT = {Overflow.FORGET: _forget, Overflow.SHORTEN: _shorten, Overflow.CUT: _cut}

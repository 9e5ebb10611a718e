"""What of the installed skills an agent's model gets to see: the catalog of names and descriptions, and its budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skillpm.clients.agent import Budget, Overflow


@dataclass(frozen=True, slots=True)
class Entry:
    """One skill that an agent lists; ``location`` is the path of its folder."""

    name: str
    description: str
    location: str


@dataclass(frozen=True, slots=True)
class FittedList:
    """How a list of skills fits into an agent's budget.

    Attributes:
        overflow: what the agent does where it does not fit.
        limit: characters that there are.
        used: characters that the whole list takes.
        skills: how many there are.
        affected: how many lose their description, a part of it, or their place; the least possible number.
        dropped: the skills that are not listed at all, where the agent's order is known.
        length: characters to which all descriptions are cut; None where they are not.
    """

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
    """Lay out the list as the agent does.

    Args:
        entries: every skill that the agent finds, ours and others; of one name the last counts.
        budget: the agent's.
        window: tokens of the model's context; the agent's usual one where None.
    """
    listed = sorted({entry.name: entry for entry in entries}.values(), key=lambda entry: entry.name)
    descriptions = [_shown(entry.description, budget) for entry in listed]
    lines = [_line(entry, text, budget) for entry, text in zip(listed, descriptions, strict=True)]
    fitted = FittedList(budget.overflow, budget.limit(window), sum(lines), len(listed))
    if fitted.fits:
        return fitted
    names = [entry.name for entry in listed]
    sizes = [len(text) for text in descriptions]
    return _FIT[budget.overflow](fitted, names, lines, sizes)


def _shown(description: str, budget: Budget) -> str:
    """Return a description as it is listed, in one line; where the list is XML, escaped."""
    text = " ".join(description.split())[: budget.description]
    if not budget.entry.startswith("<"):
        return text
    import html

    return html.escape(text)


def _line(entry: Entry, description: str, budget: Budget) -> int:
    return len(budget.entry.format(name=entry.name, description=description, location=entry.location))


def _forget(whole: FittedList, _names: Sequence[str], _lines: Sequence[int], sizes: Sequence[int]) -> FittedList:
    """Leave out descriptions until it fits; whose, only the agent knows, so count as if the longest went first."""
    over, affected = whole.used - whole.limit, 0
    for size in sorted(sizes, reverse=True):
        if over <= 0 or size == 0:
            break
        over, affected = over - size, affected + 1
    return FittedList(whole.overflow, whole.limit, whole.used, whole.skills, affected)


def _shorten(whole: FittedList, names: Sequence[str], lines: Sequence[int], sizes: Sequence[int]) -> FittedList:
    """Cut all descriptions to one length; where that is nothing, list names by their order while they fit."""
    bare = [line - size for line, size in zip(lines, sizes, strict=True)]
    room = whole.limit - sum(bare)
    if room < 0:
        dropped = _beyond(names, bare, whole.limit, stop=False)
        return FittedList(whole.overflow, whole.limit, whole.used, whole.skills, whole.skills, dropped, 0)
    length, left = 0, sorted(sizes)
    while left and (room // len(left)) >= left[0]:
        length = left.pop(0)
        room -= length
    length = room // len(left) if left else length
    affected = sum(1 for size in sizes if size > length)
    return FittedList(whole.overflow, whole.limit, whole.used, whole.skills, affected, (), length)


def _cut(whole: FittedList, names: Sequence[str], lines: Sequence[int], _sizes: Sequence[int]) -> FittedList:
    """End the list before the first skill that does not fit."""
    dropped = _beyond(names, lines, whole.limit, stop=True)
    return FittedList(whole.overflow, whole.limit, whole.used, whole.skills, len(dropped), dropped)


def _beyond(names: Sequence[str], lines: Sequence[int], limit: int, *, stop: bool) -> tuple[str, ...]:
    """Return the names that do not fit; after the first of them, ``stop`` leaves out all that follow."""
    used = 0
    dropped: list[str] = []
    for name, line in zip(names, lines, strict=True):
        if used + line > limit or (stop and dropped):
            dropped.append(name)
        else:
            used += line
    return tuple(dropped)


_FIT = {Overflow.FORGET: _forget, Overflow.SHORTEN: _shorten, Overflow.CUT: _cut}

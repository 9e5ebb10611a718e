"""What the pictures of a skill's page show: downloads by week, and what trained adapters make of the skill.

Places are percentages of the picture's width, so a picture fits every screen without distortion.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skillpm_registry.catalogue.facts import BASE, Measured
from skillpm_registry.catalogue.row import Row


@dataclass(frozen=True, slots=True)
class Week:
    """A bar: its place and height in per cent, and what it stands for."""

    place: float
    width: float
    height: float
    count: int
    end: dt.date


def weeks(days: Sequence[int], last: dt.date) -> list[Week]:
    """Return a bar for each seven days, the newest last; days before the first whole week are left out.

    Args:
        days: downloads of each day, the newest last.
        last: the newest day.
    """
    first = len(days) % 7
    counts = [sum(days[start : start + 7]) for start in range(first, len(days), 7)]
    most, step = max([*counts, 1]), 100 / max(1, len(counts))
    return [
        Week(number * step, step, count / most * 100, count, last - dt.timedelta(weeks=len(counts) - 1 - number))
        for number, count in enumerate(counts)
    ]


@dataclass(frozen=True, slots=True)
class Lift:
    """What an adapter makes of a skill on one task set: the share of exact answers without and with it."""

    adapter: str
    before: Measured
    after: Measured

    @property
    def points(self) -> tuple[int, int, int]:
        """The difference in percentage points with its 95 % interval, made of the intervals of the two shares.

        Source: Newcombe 1998, method 10. It takes the two samples for independent; as both answer the same tasks, the
        true interval is rather smaller.
        """
        one, other = self.before, self.after
        lift = other.exact - one.exact
        low = lift - math.hypot(other.exact - other.low, one.high - one.exact)
        high = lift + math.hypot(other.high - other.exact, one.exact - one.low)
        return round(lift * 100), round(low * 100), round(high * 100)


def lifts(name: str, rows: Iterable[Row]) -> list[Lift]:
    """Return what trained adapters make of a skill, or an adapter of its skills; the largest lift first.

    Args:
        name: of the skill or of the adapter.
        rows: the adapter itself, or adapters that require the skill.
    """
    found = []
    for row in rows:
        base = {(item.skill, item.task_set): item for item in row.facts.measured if item.arm == BASE}
        found += [
            Lift(row.name, base[item.skill, item.task_set], item)
            for item in row.facts.measured
            if item.arm != BASE and (item.skill, item.task_set) in base and name in (row.name, item.skill)
        ]
    return sorted(found, key=lambda lift: -lift.points[0])

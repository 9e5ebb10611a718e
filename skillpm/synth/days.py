"""Days and times, and spans that lead from one to another: ``friday`` is the first Friday after it.

A span is one step, or several behind commas: ``start of week, 1 week, wednesday`` is the Wednesday of next week. A step
such as ``09:00`` makes a time of a day, and only from a time do hours count.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from skillpm.model.synthesis import DIRECTIVE

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = re.compile(rf"{_CLOCK}(?::[0-5][0-9])?(?:Z|[+-]{_CLOCK})?")
_START = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:T{_TIME.pattern})?")
_COUNT = re.compile(r"([+-]?[0-9]{1,5})(?: (second|minute|hour|day|week|month|year)s?)?")
_EDGE = re.compile(r"(start|end) of (week|month|year)")
_WEEKDAY = re.compile(rf"(last )?({'|'.join(_WEEKDAYS).lower()})")
_WRITTEN: dict[str, Callable[[date], str]] = {
    "%Y": lambda day: f"{day.year:04}",
    "%m": lambda day: f"{day.month:02}",
    "%d": lambda day: f"{day.day:02}",
    "%-m": lambda day: str(day.month),
    "%-d": lambda day: str(day.day),
    "%B": lambda day: _MONTHS[day.month - 1],
    "%b": lambda day: _MONTHS[day.month - 1][:3],
    "%A": lambda day: _WEEKDAYS[day.weekday()],
    "%a": lambda day: _WEEKDAYS[day.weekday()][:3],
}


def written(day: date, form: str) -> str:
    """Return a day in a form such as ``%A, %-d %B %Y``; names are English ones, whatever the machine's locale."""
    return DIRECTIVE.sub(lambda found: _WRITTEN[found[0]](day), form)


def time_after(start: str, span: str | int) -> str:
    """Return the day or the time to which a span leads, as ISO 8601 has it.

    Args:
        start: a day, ``2026-03-01``, or a time, ``2026-03-01T09:00`` with its offset or without.
        span: a number of days, or steps: ``3 days``, ``-1 month`` (of a shorter month its last day), ``friday`` (the
            first one after the day), ``last friday`` (the last one before it), ``start of week`` (Monday),
            ``end of month``, ``15:30`` (of that day, at the offset of the start or at its own), ``2 hours``.

    Raises:
        ValueError: the start or the span is none, or the years 1 to 9999 do not reach so far.
    """
    if not _START.fullmatch(str(start)):
        raise ValueError(f"`{start}` is no day such as 2026-03-01, and no time such as 2026-03-01T09:00")
    reached = datetime.fromisoformat(start) if "T" in start else date.fromisoformat(start)
    for step in str(span).split(","):
        try:
            reached = _stepped(reached, step.strip())
        except OverflowError:
            raise ValueError(f"{span} after {start} is no day of the years 1 to 9999") from None
    return reached.isoformat().replace("+00:00", "Z")


def _stepped(day: date, step: str) -> date:
    """Return where one step leads from a day or, which is a day, too, from a time: that keeps its hour."""
    if found := _COUNT.fullmatch(step):
        return _counted(day, int(found[1]), found[2] or "day", step)
    if found := _EDGE.fullmatch(step):
        return _edge(day, found[2], is_end=found[1] == "end")
    if found := _WEEKDAY.fullmatch(step):
        ahead = (_WEEKDAYS.index(found[2].capitalize()) - day.weekday() - 1) % 7 + 1
        return day + timedelta(days=ahead - 7 if found[1] and ahead < 7 else ahead - 14 if found[1] else ahead)
    if _TIME.fullmatch(step):
        clock = time.fromisoformat(step)
        return datetime.combine(day, clock, clock.tzinfo or (day.tzinfo if isinstance(day, datetime) else None))
    known = "`3 days`, `-1 month`, `friday`, `last friday`, `end of month`, `09:00`, `2 hours`"
    raise ValueError(f"`{step}` is no step such as {known}")


def _counted(day: date, count: int, unit: str, step: str) -> date:
    if unit in ("month", "year"):
        return _months_after(day, count * (12 if unit == "year" else 1))
    if unit in ("hour", "minute", "second") and not isinstance(day, datetime):
        raise ValueError(f"`{step}` counts from a time, and {day} is a day: a step such as `09:00` makes it a time")
    return day + timedelta(**{f"{unit}s": count})


def _months_after(day: date, count: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError
    last = calendar.monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


def _edge(day: date, unit: str, *, is_end: bool) -> date:
    """Return the first or the last day of the week, the month or the year that has a day."""
    if unit == "week":
        return day + timedelta(days=(6 if is_end else 0) - day.weekday())
    month = (12 if is_end else 1) if unit == "year" else day.month
    return day.replace(month=month, day=calendar.monthrange(day.year, month)[1] if is_end else 1)

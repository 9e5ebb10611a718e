"""Days, and spans that lead from one day to another: ``friday`` is the first Friday after it.

A span is one step, or several behind commas: ``start of week, 1 week, wednesday`` is the Wednesday of next week.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta

from skillpm.model.synthesis import DIRECTIVE

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COUNT = re.compile(r"([+-]?[0-9]{1,5})(?: (day|week|month|year)s?)?")
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


def day_after(day: str, span: str | int) -> str:
    """Return the day to which a span leads.

    Args:
        day: as ISO 8601 has it, ``2026-03-01``.
        span: a number of days, or steps: ``3 days``, ``-1 month`` (of a shorter month its last day), ``friday`` (the
            first one after the day), ``last friday`` (the last one before it), ``start of week`` (Monday),
            ``end of month``.

    Raises:
        ValueError: the day or the span is none, or the years 1 to 9999 do not reach so far.
    """
    if not _DAY.fullmatch(str(day)):
        raise ValueError(f"`{day}` is no day such as 2026-03-01")
    reached = date.fromisoformat(day)
    for step in str(span).split(","):
        try:
            reached = _stepped(reached, step.strip())
        except OverflowError:
            raise ValueError(f"{span} after {day} is no day of the years 1 to 9999") from None
    return reached.isoformat()


def _stepped(day: date, step: str) -> date:
    if found := _COUNT.fullmatch(step):
        count, unit = int(found[1]), found[2] or "day"
        if unit in ("month", "year"):
            return _months_after(day, count * (12 if unit == "year" else 1))
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    if found := _EDGE.fullmatch(step):
        return _edge(day, found[2], is_end=found[1] == "end")
    if found := _WEEKDAY.fullmatch(step):
        ahead = (_WEEKDAYS.index(found[2].capitalize()) - day.weekday() - 1) % 7 + 1
        return day + timedelta(days=ahead - 7 if found[1] and ahead < 7 else ahead - 14 if found[1] else ahead)
    raise ValueError(f"`{step}` is no step such as `3 days`, `-1 month`, `friday`, `last friday`, `end of month`")


def _months_after(day: date, count: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _edge(day: date, unit: str, *, is_end: bool) -> date:
    """Return the first or the last day of the week, the month or the year that has a day."""
    if unit == "week":
        return day + timedelta(days=(6 if is_end else 0) - day.weekday())
    month = (12 if is_end else 1) if unit == "year" else day.month
    return date(day.year, month, calendar.monthrange(day.year, month)[1] if is_end else 1)

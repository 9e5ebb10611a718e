"""A clock and a process number that are others at each look, so that a verdict which depends on them changes.

The selftest judges answers in such workers, and nothing else does. Monotonic clocks stay as they are, because code
measures durations with them.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_STEP = 40_009.5  # seconds, about eleven hours: a thousand looks see every hour, day of the week, month and half second
_LOOKS = 16_000  # then it begins again, twenty years later


class _Moving(type):
    """The type of a class that stands for a real one: dates that others made are still instances of it."""

    def __instancecheck__(cls, item: object) -> bool:
        real = cls.__dict__.get("real")
        return super().__instancecheck__(item) if real is None else isinstance(item, real)

    def __subclasscheck__(cls, other: type) -> bool:
        real = cls.__dict__.get("real")
        return super().__subclasscheck__(other) if real is None else issubclass(other, real)


def move() -> None:
    """Replace the clock and the process number from now on. Skill code that is loaded afterwards sees no others."""
    steps, clock, numbers = itertools.count(1), time.time, itertools.count(os.getpid())

    def now() -> float:
        return clock() + next(steps) % _LOOKS * _STEP

    class Date(dt.date, metaclass=_Moving):
        real = dt.date

        @classmethod
        def today(cls) -> Date:
            return cls.fromtimestamp(now())

    class DateTime(dt.datetime, metaclass=_Moving):
        real = dt.datetime

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> DateTime:
            return cls.fromtimestamp(now(), tz)

        @classmethod
        def utcnow(cls) -> DateTime:
            return cls.fromtimestamp(now(), dt.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> DateTime:
            return cls.fromtimestamp(now())

    def at(function: Callable[[float], Any]) -> Callable[..., Any]:
        return lambda seconds=None: function(now() if seconds is None else seconds)

    form, local = time.strftime, at(time.localtime)
    moved: dict[ModuleType, dict[str, Any]] = {
        os: {"getpid": lambda: next(numbers)},
        dt: {"date": Date, "datetime": DateTime},
        time: {
            "time": now,
            "time_ns": lambda: int(now() * 1e9),
            "localtime": local,
            "gmtime": at(time.gmtime),
            "ctime": at(time.ctime),
            "strftime": lambda text, *moment: form(text, *moment or (local(),)),
        },
    }
    for module, names in moved.items():
        for name, value in names.items():
            setattr(module, name, value)

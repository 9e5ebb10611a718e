"""A clock that shows another time for each answer, and process numbers that are others in each request.

So a verdict that depends on them changes. The selftest judges answers in such workers, and nothing else does. Monotonic
clocks stay as they are. Libraries see the real process numbers, because ``multiprocessing`` and its like compare them
to tell a child from its parent.
"""

from __future__ import annotations

import copyreg
import datetime as dt
import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_STEP = 40_009.5  # seconds, about eleven hours: a thousand looks see every hour, day of the week, month and half second
_LOOKS = 16_000  # then it begins again, twenty years later
_NUMBERS = ("getpid", "getppid", "getpgid", "getpgrp", "getsid")


class Moving:
    """What moves in this process.

    The time moves on when the place in skill code that looked first in a request looks again. So code that judges one
    answer after the other sees another time for each, and two looks between which it measures a duration fit together.

    Args:
        root: the folder of the skill.
    """

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._requests = self._steps = 0
        self._first: tuple[CodeType, int] | None = None
        self._clock = time.time

    def begin(self) -> None:
        """Begin a request."""
        self._requests += 1
        self._first = None

    def start(self) -> None:
        """Move the clock and the process numbers. Skill code that is loaded afterwards sees no others."""
        for module, name in (*((os, name) for name in _NUMBERS), (threading, "get_native_id")):
            setattr(module, name, self._moving(getattr(module, name)))
        for module, names in self._looks().items():
            for name, value in names.items():
                setattr(module, name, value)

    def _moving(self, number: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(number)
        def moved(*arguments: Any) -> int:
            moves = not any(arguments) and self._place() is not None  # the group of a child may be sent a signal
            return number(*arguments) + (self._requests if moves else 0)

        return moved

    def _now(self) -> float:
        place = self._place()
        self._first = self._first or place
        if place is not None and place == self._first:
            self._steps = (self._steps + 1) % _LOOKS
        return self._clock() + self._steps * _STEP

    def _place(self) -> tuple[CodeType, int] | None:
        """Return the place in skill code that looks; None if a library does."""
        frame = sys._getframe(1)
        while frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        name = frame.f_code.co_filename
        of_library = name.startswith("<frozen ") or (name.startswith(os.sep) and not name.startswith(self._root))
        return None if of_library else (frame.f_code, frame.f_lasti)

    def _looks(self) -> dict[ModuleType, dict[str, Any]]:
        """Return what looks at the clock, by module."""
        now, form, read, read_ns = self._now, time.strftime, time.clock_gettime, time.clock_gettime_ns

        def at(function: Callable[[float], Any]) -> Callable[..., Any]:
            return lambda seconds=None: function(now() if seconds is None else seconds)

        def at_ns() -> int:
            return int(now() * 1e9)

        local, today = at(time.localtime), classmethod(lambda cls: cls.fromtimestamp(now()))
        moments = {
            "today": today,
            "now": classmethod(lambda cls, tz=None: cls.fromtimestamp(now(), tz)),
            "utcnow": classmethod(lambda cls: cls.fromtimestamp(now(), dt.UTC).replace(tzinfo=None)),
        }
        return {
            dt: {"date": _stand_in(dt.date, {"today": today}), "datetime": _stand_in(dt.datetime, moments)},
            time: {
                "time": now,
                "time_ns": at_ns,
                "clock_gettime": lambda clock: now() if clock == time.CLOCK_REALTIME else read(clock),
                "clock_gettime_ns": lambda clock: at_ns() if clock == time.CLOCK_REALTIME else read_ns(clock),
                "localtime": local,
                "gmtime": at(time.gmtime),
                "ctime": at(time.ctime),
                "strftime": lambda text, *moment: form(text, *moment or (local(),)),
            },
        }


class _StandIn(type):
    """The type of a class that stands for a real one, and whose instances are those of the real one.

    The two are equal, so code that looks up what to do by the type of a value finds it.
    """

    def __instancecheck__(cls, item: object) -> bool:
        return super().__instancecheck__(item) if _real(cls) is cls else isinstance(item, _real(cls))

    def __subclasscheck__(cls, other: type) -> bool:
        return super().__subclasscheck__(other) if _real(cls) is cls else issubclass(other, _real(cls))

    def __eq__(cls, other: object) -> bool:
        return _real(cls) is (_real(other) if type(other) is _StandIn else other)

    def __hash__(cls) -> int:
        return type.__hash__(_real(cls))


def _real(kind: type) -> type:
    real: type = kind.__dict__.get("real", kind)
    return real


def _stand_in(real: type, looks: dict[str, Any]) -> type:
    """Return a class that makes values of a real one, and looks at the clock otherwise."""

    def new(cls: type, *values: Any, **named: Any) -> Any:
        return real.__new__(_real(cls), *values, **named)

    names = {"real": real, "__new__": new, "__module__": real.__module__, "__qualname__": real.__name__, **looks}
    kind = _StandIn(real.__name__, (real,), names)
    # pickle looks for the class of a value by its name, which is that of the stand-in now
    copyreg.pickle(real, lambda value: (kind, value.__reduce__()[1]))
    return kind

"""A clock that shows another time for each answer, and process numbers that are others in each request.

So a verdict that depends on them changes. The selftest judges answers in such workers, and nothing else does. Monotonic
clocks stay as they are. Libraries see the real process numbers, because ``multiprocessing`` and its like compare them
to tell a child from its parent. What takes a process number, such as ``os.kill``, takes a moved one as the real one.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import functools
import gc
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

# seconds, about twelve days: 200 looks see every hour of every weekday, month, minute and half second. Twice it is a
# prime, so that remainders differ.
_STEP = 1_029_116.5
_LOOKS = 2_000  # then it begins again, 65 years later
_NUMBERS = ("getpid", "getppid", "getpgid", "getpgrp", "getsid")
_TAKING = (
    "kill", "killpg", "getpgid", "getsid", "sched_getaffinity", "sched_setaffinity", "sched_getparam",
    "sched_getscheduler",
)  # fmt: skip
_SHIFT = 4_194_319  # higher than all real ones, which end at 2**22, and a prime, so that remainders differ, too
_SHIFTS = 500  # then it begins again; all fit into 32 bits


class Moving:
    """What moves in this process.

    The time moves on when the place in skill code that looked first in a request looks again. So code that judges one
    answer after the other sees another time for each, and two looks between which it measures a duration fit together.
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
        for name in _TAKING:
            if hasattr(os, name):  # not on every system
                setattr(os, name, _taking(getattr(os, name)))
        for module, name in (*((os, name) for name in _NUMBERS), (threading, "get_native_id")):
            setattr(module, name, self._moving(getattr(module, name)))
        for name, value in self._looks().items():
            setattr(time, name, value)
        for kind, names in self._moments().items():
            # a type of C refuses new attributes, but not its dictionary; a subclass would not be the type of all values
            gc.get_referents(kind.__dict__)[0].update(names)
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))

    def _moving(self, number: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(number)
        def moved(*arguments: Any, **named: Any) -> int:
            given = (*arguments, *named.values())
            of_child = any(0 < item < _SHIFT for item in given)  # its group is compared with its real number
            moves = not of_child and self._place() is not None
            return number(*arguments, **named) + (self._requests % _SHIFTS * _SHIFT if moves else 0)

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

    def _moments(self) -> dict[type, dict[str, Any]]:
        """Return the constructors of dates that look at the clock, by type."""
        now = self._now
        today = classmethod(lambda cls: cls.fromtimestamp(now()))
        moments = {
            "now": classmethod(lambda cls, tz=None: cls.fromtimestamp(now(), tz)),
            "utcnow": classmethod(lambda cls: cls.fromtimestamp(now(), dt.UTC).replace(tzinfo=None)),
        }
        return {dt.date: {"today": today}, dt.datetime: moments}

    def _looks(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of ``time`` that look at the clock."""
        now, form, read, read_ns = self._now, time.strftime, time.clock_gettime, time.clock_gettime_ns

        def at(function: Callable[[float], Any]) -> Callable[..., Any]:
            return lambda seconds=None: function(now() if seconds is None else seconds)

        def at_ns() -> int:
            return int(now() * 1e9)

        local = at(time.localtime)
        return {
            "time": now,
            "time_ns": at_ns,
            "clock_gettime": lambda clock: now() if clock == time.CLOCK_REALTIME else read(clock),
            "clock_gettime_ns": lambda clock: at_ns() if clock == time.CLOCK_REALTIME else read_ns(clock),
            "localtime": local,
            "gmtime": at(time.gmtime),
            "ctime": at(time.ctime),
            "strftime": lambda text, *moment: form(text, *moment or (local(),)),
        }


def _taking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes a moved process number as the real one; a negative one, of a group, as well."""

    @functools.wraps(function)
    def taking(*arguments: Any, **named: Any) -> Any:
        first, others = arguments[:1], arguments[1:]
        return function(*map(_real, first), *others, **{name: _real(value) for name, value in named.items()})

    return taking


def _real(number: Any) -> Any:
    return int(math.fmod(number, _SHIFT)) if isinstance(number, int) else number

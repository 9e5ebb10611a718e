"""Spellings of one value on a command line: ``-2h`` and ``-120min``, ``nginx`` and ``nginx.service``."""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Callable
from datetime import UTC, datetime

from skillpm.model.contract import ValueForm

# systemd.time(7): the units of a time span in seconds; a month is 30.44 days, a year 365.25.
_SECONDS = {
    "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3,
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800,
    "M": 2630016, "month": 2630016, "months": 2630016,
    "y": 31557600, "year": 31557600, "years": 31557600,
}  # fmt: skip
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) *([A-Za-z]*)")
_RELATIVE = re.compile(r"([+-]?) *((?:[0-9]{1,9}(?:\.[0-9]{1,6})? *[A-Za-z]* *)+?)( ago| left)?")
# systemd.unit(5): the suffixes of unit files; systemctl and journalctl add `.service` to a name without one.
_UNIT_SUFFIXES = (
    ".service", ".socket", ".target", ".timer", ".mount", ".automount", ".swap", ".path", ".slice", ".scope", ".device",
)  # fmt: skip
# date.c of git, approxidate: a span is counted back from now, with "ago" or without, and a year has twelve months;
# `lastweek` and `007 days` are now, and so many days that they began before 1970 are another time
_GIT_SPAN = re.compile(
    r"(?:([1-9][0-9]{0,3})[ .]*|(last|one|two|three|four|five|six|seven|eight|nine|ten)[ .]+)"
    r"(second|minute|hour|day|week|month|year)s?(?:[ .]+ago)?",
    re.IGNORECASE,
)
_GIT_NUMBERS = {"last": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
                "nine": 9, "ten": 10}  # fmt: skip
_GIT_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 1, "year": 12}
# coreutils, "Block size": 1K and 1KiB are 1024, 1kB and 1KB are 1000, 1b is 512; a sign means something else.
_SIZE = re.compile(r"([+-]?)([0-9]{1,18})(?:(b)|([kKmMGTPE])(iB|B)?)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_MAYBE_OCTAL = re.compile(r"[+-]?0+([89]|[1-9][0-9])")  # strtol(3) with base 0 reads 010 as 8, and with base 10 as 10
# systemd.time(7): without a day it is today, and without a time it is midnight
_DAYS = ("%Y-%m-%d", "%y-%m-%d", "")
_CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
# RFC 3339, 5.6; the fraction of a second may be longer than a clock's
_MOMENT = re.compile(
    r"([0-9]{4}(?:-[0-9]{2}){2})[Tt ]([0-9]{2}(?::[0-9]{2}){2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# syslog(3), as journalctl names them
_PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def normal_value(form: ValueForm, text: str) -> str:
    """Return the one spelling of a value.

    Raises:
        ValueError: it is not of the form; the text says which was expected.
    """
    return _NORMAL[form](text)


def _text(text: str) -> str:
    return text


def _integer(text: str) -> str:
    if not _INTEGER.fullmatch(text):
        raise ValueError("a whole number")
    if _MAYBE_OCTAL.match(text):
        return text
    return str(int(text))


def _size(text: str) -> str:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("a number of bytes, such as 512, 1K or 1MB")
    sign, number, block, letter, unit = match.groups()
    power = "KMGTPE".index(letter.upper()) + 1 if letter else 0
    return f"{sign}{int(number) * (512 if block else (1000 if unit == 'B' else 1024) ** power)}"


def _path(text: str) -> str:
    """Drop what names no other file: ``//``, ``/./``, a leading ``./``, a slash at the end. ``..`` may cross a link.

    ``-`` alone is the standard input of a program, and ``./-`` is a file.
    """
    if not text:
        raise ValueError("a path")
    absolute = "/" if text.startswith("/") else ""
    steps = [step for step in text.split(posixpath.sep) if step not in ("", ".")]
    path = absolute + "/".join(steps) or "."
    return "./-" if path == "-" != text else path


def _link(text: str) -> str:
    """Read a path that may name a symbolic link: a slash at its end follows the link, and so does ``/.``."""
    path = _path(text)
    return f"{path}/" if text.endswith(("/", "/.")) and path.rpartition("/")[2] not in ("", ".", "..") else path


def _duration(text: str) -> str:
    """Count a span of time in seconds, with its sign; give a date its time; a word such as ``now`` stays as it is."""
    match = _RELATIVE.fullmatch(text.strip())
    if match is None or (match[1] and match[3]):
        return _timestamp(text)
    total = 0.0
    for number, unit in _SPAN.findall(match[2]):
        if unit not in _SECONDS:
            return text
        total += float(number) * _SECONDS[unit]
    sign = "-" if match[3] == " ago" or match[1] == "-" else "+" if match[3] == " left" or match[1] == "+" else ""
    return f"{sign}{total:.6f}".rstrip("0").rstrip(".") + "s"


def _timestamp(text: str) -> str:
    """Write a point in time with its day and its time to the microsecond."""
    zone = " UTC" if text.endswith(" UTC") else ""
    bare = text.removesuffix(zone).lstrip()
    if bare == "today":
        return f"today 00:00:00.000000{zone}"
    for form in (f"{day} {clock}".strip() for day in _DAYS for clock in _CLOCKS if day or clock):
        with contextlib.suppress(ValueError):
            time = datetime.strptime(bare if bare.isascii() else "", form)
            return f"{time:%Y-%m-%d %H:%M:%S.%f}{zone}" if "%d" in form else f"today {time:%H:%M:%S.%f}{zone}"
    return text


def _git_date(text: str) -> str:
    """Count back in seconds or months: ``2.weeks`` is ``14 days ago``, and ``yesterday`` is one day ago."""
    match = _GIT_SPAN.fullmatch("1 day" if text.strip().lower() == "yesterday" else text.strip())
    if match is None:
        return text
    number, word, unit = match.groups()
    count = (int(number) if number else _GIT_NUMBERS[word.lower()]) * _GIT_UNITS[unit.lower()]
    return f"{count} {'months' if unit.lower() in ('month', 'year') else 'seconds'} ago"


def _moment(text: str) -> str:
    """Write a moment in UTC, without zeros at the end of its seconds; a day without a time stays as it is."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return text
    day, clock, fraction, offset = match.groups(default="")
    try:
        time = datetime.fromisoformat(f"{day}T{clock}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, a leap second, or before the year 1
        return text
    return f"{time.isoformat()[:19]}{fraction.rstrip('0').rstrip('.')}Z"


def _priority(text: str) -> str:
    """Name the priorities, from the most urgent: ``3`` is ``err``, and so are ``emerg..err`` and ``3..0``."""
    names = [_PRIORITIES[int(end)] if re.fullmatch("[0-7]", end) else end for end in text.split("..")]
    if len(names) > 2 or not set(names) <= set(_PRIORITIES):
        return text
    first, last = sorted(map(_PRIORITIES.index, names if len(names) == 2 else ["emerg", *names]))
    return _PRIORITIES[last] if first == 0 else f"{_PRIORITIES[first]}..{_PRIORITIES[last]}"


def _unit(text: str) -> str:
    """Add the suffix that systemd adds; a pattern, a path and the number of a process stay as they are."""
    is_name = not (text.endswith(_UNIT_SUFFIXES) or text.startswith("/") or text.isdecimal() or set(text) & set("*?["))
    return f"{text}.service" if is_name else text


def _letters(text: str) -> str:
    """Sort the letters of a bundle that means the same in any order: ``aux`` of ``ps``."""
    return "".join(sorted(text)) if text.isalpha() else text


def _words(text: str) -> str:
    return " ".join(text.split())


_NORMAL: dict[ValueForm, Callable[[str], str]] = {
    "text": _text,
    "casefold": str.casefold,
    "integer": _integer,
    "size": _size,
    "path": _path,
    "link": _link,
    "duration": _duration,
    "git_date": _git_date,
    "timestamp": _moment,
    "unit": _unit,
    "priority": _priority,
    "words": _words,
    "letters": _letters,
    "socket_filter": _text,  # its operands are one value, which ``socket_filter`` reads
}

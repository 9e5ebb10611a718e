"""Reads one line of a log into an event, whatever form the line has. Nothing here decides what an event means.

Forms: RFC 5424 syslog; RFC 3164 syslog (with or without ``<PRI>``, with the classical or an ISO 8601 time, as rsyslog
writes it); ``journalctl -o json``; the kernel ring buffer (``dmesg``, plain or with ISO times). A line is hostile text:
it is cut at a limit and control characters are taken out.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

__all__ = ["SEVERITIES", "Event", "read_line"]

SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
MAX_LINE = 65536  # characters that are read of one line
MAX_MESSAGE = 500  # characters that are kept of one message

_ISO_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_DMESG_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}(?:Z|[+-]\d\d:?\d\d)"  # the comma tells it from rsyslog's
_PRI = r"(?:<(?P<pri>\d{1,3})>)?"
_TAG = r"(?P<program>[^\s:\[]{1,128})(?:\[(?P<pid>\d{1,10})\])?:"
_STRUCTURED_DATA = r'(?:-|(?:\[[^\]"]*(?:"(?:[^"\\]|\\.)*"[^\]"]*)*\])+)'  # RFC 5424, section 6.3
_RFC5424 = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<program>\S+) (?P<pid>\S+) \S+ "
    + _STRUCTURED_DATA
    + r"(?: |\Z)(?P<message>.*)\Z",
    re.DOTALL,
)
_RFC3164 = re.compile(
    _PRI + r"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S{1,255}) (?:" + _TAG + r" ?)?(?P<message>.*)\Z",
    re.DOTALL,
)
_ISO_SYSLOG = re.compile(
    _PRI + rf"(?P<time>{_ISO_TIME}) (?P<host>\S{{1,255}}) " + _TAG + r" ?(?P<message>.*)\Z", re.DOTALL
)
_ISO_KERNEL = re.compile(rf"(?P<time>{_DMESG_TIME}) (?P<message>.*)\Z", re.DOTALL)
_KERNEL = re.compile(_PRI + r"\[ *\d{1,9}\.\d{6}\] (?P<message>.*)\Z", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_TROUBLE = re.compile(r"\b(?:error|err|failed|failure|fatal|panic|critical|crit|exception|segfault)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Event:
    """One line of a log.

    Attributes:
        time: ISO 8601 in UTC, or None where the line has none.
        severity: a name out of SEVERITIES; where the line has none, ``err`` if its words say so, else ``info``.
        unit: the systemd unit that the line is about, where it says so.
        source: the file; ``line`` is 1-based.
    """

    time: str | None
    host: str | None
    program: str | None
    pid: int | None
    unit: str | None
    severity: str
    message: str
    source: str
    line: int

    def document(self) -> dict[str, Any]:
        """Return the event as a JSON object."""
        return {"record": "event", **asdict(self)}


def read_line(text: str, *, source: str, line: int, now: datetime) -> Event | None:
    """Read one line, or return None where it has no known form.

    Args:
        text: the line.
        source: where it stands, for the event.
        line: its number, for the event.
        now: RFC 3164 times have no year: they get the latest one that is not more than a day after this.
    """
    text = text[:MAX_LINE].rstrip("\r\n")
    fields = _journal(text) if text.startswith("{") else _syslog(text, now)
    return None if fields is None else Event(**fields, source=source, line=line)


def _syslog(text: str, now: datetime) -> dict[str, Any] | None:
    if match := _RFC5424.match(text):
        return _rfc5424(match)
    if match := _RFC3164.match(text):
        return _fields(match, time=_classical_time(match["time"], now), host=match["host"])
    if match := _ISO_SYSLOG.match(text):
        return _fields(match, time=_iso_time(match["time"]), host=match["host"])
    if match := _ISO_KERNEL.match(text):
        return _fields(match, time=_iso_time(match["time"]), host=None)
    if match := _KERNEL.match(text):
        return _fields(match, time=None, host=None)
    return None


def _fields(match: re.Match[str], *, time: str | None, host: str | None) -> dict[str, Any]:
    groups = match.groupdict()
    message = _clean(groups["message"])
    pid = groups.get("pid")
    return {
        "time": time,
        "host": _clean(host) if host else None,
        "program": _clean(groups.get("program") or ("kernel" if host is None else "")) or None,
        "pid": int(pid) if pid else None,
        "unit": None,
        "severity": _severity(groups.get("pri"), message),
        "message": message,
    }


def _rfc5424(match: re.Match[str]) -> dict[str, Any]:
    text = _clean(match["message"].removeprefix("\ufeff"))
    pid = match["pid"]
    return {
        "time": _iso_time(match["time"]),
        "host": _unless_nil(match["host"]),
        "program": _unless_nil(match["program"]),
        "pid": int(pid) if pid.isdecimal() and len(pid) <= 10 else None,
        "unit": None,
        "severity": _severity(match["pri"], text),
        "message": text,
    }


def _unless_nil(value: str) -> str | None:
    return None if value == "-" else _clean(value)[:255]


def _journal(text: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or "MESSAGE" not in entry:
        return None
    message = _clean(_journal_text(entry["MESSAGE"]))
    unit = entry.get("UNIT") or entry.get("_SYSTEMD_UNIT")
    pid = str(entry.get("_PID", ""))
    return {
        "time": _journal_time(entry.get("__REALTIME_TIMESTAMP")),
        "host": _name(entry.get("_HOSTNAME")),
        "program": _name(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM")),
        "pid": int(pid) if pid.isdecimal() and len(pid) <= 10 else None,
        "unit": _name(unit),
        "severity": _severity(str(entry.get("PRIORITY", "")), message),
        "message": message,
    }


def _journal_text(value: Any) -> str:
    """Return a field's text; bytes that are not UTF-8 come as a list of numbers, a repeated field as a list."""
    if isinstance(value, list) and all(isinstance(item, int) and 0 <= item < 256 for item in value):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, list):
        return " ".join(_journal_text(item) for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""


def _name(value: Any) -> str | None:
    return _clean(value)[:255] if isinstance(value, str) and value else None


def _clean(text: str) -> str:
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def _severity(pri: str | None, message: str) -> str:
    """Name the severity: PRI is facility * 8 + severity (RFC 5424, section 6.2.1), PRIORITY the severity alone."""
    if pri and pri.isdecimal() and int(pri) <= 191:
        return SEVERITIES[int(pri) % 8]
    return "err" if _TROUBLE.search(message) else "info"


def _utc(moment: datetime) -> str:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _iso_time(text: str) -> str | None:
    text = re.sub(r"[.,](\d{1,6})\d*", lambda fraction: f".{fraction[1]:0<6}", text)
    try:
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def _classical_time(text: str, now: datetime) -> str | None:
    for year in (now.year + 1, now.year, now.year - 1, now.year - 2, now.year - 3, now.year - 4):
        try:
            moment = datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:  # 29 February in a common year, or no date at all
            continue
        if moment <= now + timedelta(days=1):
            return _utc(moment)
    return None


def _journal_time(value: Any) -> str | None:
    if not isinstance(value, str | int) or not str(value).isdecimal():
        return None
    try:
        return _utc(datetime.fromtimestamp(int(value) / 1_000_000, UTC))
    except (ValueError, OverflowError, OSError):
        return None

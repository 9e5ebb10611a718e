"""Finds trouble in events: disk pressure, OOM kills, failed units, and bursts of errors.

Findings of one kind about one subject are one finding with a count. A burst is a stretch of time in which one program
logs errors at no less than the given rate; windows that touch are one burst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from log_forms import SEVERITIES, Event

__all__ = ["KINDS", "Detector", "Finding"]

KINDS = ("disk_pressure", "oom_kill", "failed_unit", "error_burst")
MAX_EVIDENCE = 3  # lines quoted for one finding
MAX_LISTING = 1000  # characters of a listing's line
MAX_SUBJECTS = 200  # findings of one kind that are told apart; the rest is counted as "other"
ERROR = SEVERITIES.index("err")

_DISK = re.compile(
    r"no space left on device|\bENOSPC\b|disk quota exceeded|out of disk space|file ?system (?:is )?(?:almost )?full|"
    r"disk (?:is )?(?:almost )?full|(?:disk|filesystem) usage (?:at|is|of)?\s*(?:9\d|100) ?%",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![\w./-])(/[\w.@+-]+(?:/[\w.@+-]+)*)")
_UNIT = r"(?<!\S)(?P<name>\S+\.(?:service|scope|slice|socket|mount|timer|target|path|swap))"
_OOM = (
    re.compile(r"out of memory: Kill(?:ed)? process \d+ \((?P<name>[^)]{1,64})\)", re.IGNORECASE),
    re.compile(_UNIT + r": A process of this unit has been killed by the OOM killer"),
    re.compile(_UNIT + r": Failed with result 'oom-kill'"),
    re.compile(r"systemd-oomd.{0,100}Killed (?P<name>\S+) due to", re.IGNORECASE),
)
_FAILED = (
    re.compile(_UNIT + r": Failed with result '(?P<why>[^']{1,64})'"),
    re.compile(r"Unit (?P<name>\S+) entered failed state"),
    re.compile(_UNIT + r": Start request repeated too quickly"),
    re.compile(r"Failed to (?:start|mount|listen on) " + _UNIT + r"\b"),
)
_FAILED_LISTING = re.compile(r"(?: *[●*x×] +)?(?P<name>\S+\.[a-z]+)\s+(?:loaded|not-found|masked)\s+failed\s+failed\b")
_SIZE = r"\s+-?[\d.,]+[A-Za-z]{0,3}"  # 1000, 2.5G or 12GiB
_DISK_USAGE = re.compile(rf"(?P<device>\S+){_SIZE}{_SIZE}{_SIZE}\s+(?P<used>\d{{1,3}})%\s+(?P<mount>/.*)\Z")


@dataclass
class Finding:
    """Something that a person on call should know.

    Attributes:
        kind: one of KINDS.
        subject: the path, process, unit or program that it is about.
        count: how many lines say so.
        first: ISO 8601, or None where no line had a time; ``last`` likewise.
        evidence: the first lines, quoted.
    """

    kind: str
    subject: str
    severity: str
    detail: str
    count: int = 0
    first: str | None = None
    last: str | None = None
    evidence: list[dict[str, Any]] = field(default_factory=list)

    def add(self, message: str, source: str, line: int, time: str | None) -> None:
        """Count one more line."""
        self.count += 1
        if time is not None:
            self.first = min(self.first or time, time)
            self.last = max(self.last or time, time)
        if len(self.evidence) < MAX_EVIDENCE:
            self.evidence.append({"source": source, "line": line, "time": time, "message": message})

    def document(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {"record": "finding", **self.__dict__}


class Detector:
    """Reads events in order and keeps what it found.

    Args:
        window: seconds of the sliding window of a burst.
        threshold: errors within it that make a burst.
        disk_percent: from how full a file system is under pressure.
    """

    def __init__(self, *, window: float = 60.0, threshold: int = 10, disk_percent: int = 90) -> None:
        self._window = window
        self._threshold = threshold
        self._disk_percent = disk_percent
        self._found: dict[tuple[str, str], Finding] = {}
        self._errors: dict[str, list[tuple[float, Event]]] = {}

    def see(self, event: Event) -> None:
        """Take one event into account."""
        said = (event.message, event.source, event.line, event.time)
        if _DISK.search(event.message):
            path = _PATH.search(event.message)
            self._add(
                "disk_pressure", path[1] if path else "unknown path", "critical", "no space left, or quota reached"
            ).add(*said)
        killed = next((match for form in _OOM if (match := form.search(event.message))), None)
        if killed:
            self._add("oom_kill", killed["name"], "critical", "killed for want of memory").add(*said)
        failed = next((match for form in _FAILED if (match := form.search(event.message))), None)
        if failed:
            reason = failed.groupdict().get("why")
            detail = f"failed: {reason}" if reason else "failed"
            self._add("failed_unit", failed["name"].rstrip("."), "critical", detail).add(*said)
        if event.time is not None and SEVERITIES.index(event.severity) <= ERROR:
            moment = datetime.fromisoformat(event.time).timestamp()
            self._errors.setdefault(event.program or "unknown", []).append((moment, event))

    def see_listing(self, text: str, *, source: str, line: int) -> bool:
        """Take a line of ``df`` or of ``systemctl list-units --failed`` into account; say whether it is one."""
        text = text[:MAX_LISTING]
        usage = _DISK_USAGE.match(text)
        if usage:
            used = int(usage["used"])
            if used >= self._disk_percent:
                severity = "critical" if used >= 98 else "warning"
                finding = self._add("disk_pressure", usage["mount"], severity, f"{usage['device']} is {used} % full")
                finding.add(text, source, line, None)
            return True
        failed = _FAILED_LISTING.match(text)
        if failed:
            self._add("failed_unit", failed["name"], "critical", "in failed state").add(
                text.strip(), source, line, None
            )
        return failed is not None

    def findings(self) -> list[Finding]:
        """Return everything found: by kind, then the most frequent first."""
        bursts = [burst for program in sorted(self._errors) for burst in self._find_bursts(program)]
        found = [*self._found.values(), *bursts]
        return sorted(found, key=lambda item: (KINDS.index(item.kind), -item.count, item.subject, item.first or ""))

    def _add(self, kind: str, subject: str, severity: str, detail: str) -> Finding:
        subject = subject[:255]
        of_kind = sum(1 for known, _ in self._found if known == kind)
        if (kind, subject) not in self._found and of_kind >= MAX_SUBJECTS:
            subject, detail = "other", f"more than {MAX_SUBJECTS} subjects"
        finding = self._found.setdefault((kind, subject), Finding(kind, subject, severity, detail))
        if finding.detail == "failed":  # a later line may know why
            finding.detail = detail
        return finding

    def _find_bursts(self, program: str) -> Iterator[Finding]:
        errors = sorted(self._errors[program], key=lambda item: item[0])
        start = 0
        stretch: tuple[int, int] | None = None  # of indices, both included
        for end in range(len(errors)):
            while errors[end][0] - errors[start][0] > self._window:
                start += 1
            if end - start + 1 < self._threshold:
                continue
            if stretch is not None and start > stretch[1]:
                yield self._burst(program, errors[stretch[0] : stretch[1] + 1])
                stretch = None
            stretch = (start if stretch is None else stretch[0], end)
        if stretch is not None:
            yield self._burst(program, errors[stretch[0] : stretch[1] + 1])

    def _burst(self, program: str, errors: list[tuple[float, Event]]) -> Finding:
        seconds = max(1, round(errors[-1][0] - errors[0][0]))
        detail = f"{len(errors)} errors in {seconds} s"
        finding = Finding("error_burst", program, "warning", detail)
        for _, event in errors:
            finding.add(event.message, event.source, event.line, event.time)
        return finding

"""The file: one line of JSON for each event, on the disk before the next command can read it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

VARIABLE = "SKILLPM_JOURNAL"  # names the file; without it nothing is kept
PAUSE = 60.0  # seconds between two lines of counts


class Journal:
    """Appends to the file that ``SKILLPM_JOURNAL`` names.

    Answers are counted in memory: there may be thousands in a second. Their counts since the last such line are written
    once a minute, when a run is finished and when the process ends. A process that is killed loses at most a minute.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._due = 0.0

    def count(self, skill: str, status: str) -> None:
        """Count an answer. Raises OSError where the counts were to be written and could not."""
        if not self._counts:
            self._due = time.monotonic() + PAUSE
            atexit.register(self._write_last_counts)
        self._counts[skill][status] += 1
        if time.monotonic() >= self._due:
            self.write_counts()

    def write_counts(self) -> None:
        """Write a line for each skill whose answers were counted. Raises OSError."""
        while self._counts:
            skill, counts = self._counts.popitem()
            self.write("scored", skill=skill, answers=dict(sorted(counts.items())))
        atexit.unregister(self._write_last_counts)

    def _write_last_counts(self) -> None:
        with contextlib.suppress(OSError):  # what the process was for is done, and its exit code stands
            self.write_counts()

    def write(self, event: str, **facts: Any) -> None:
        """Append one line. Raises OSError where the file cannot be written; skillpm notes it and goes on."""
        path = os.environ.get(VARIABLE)
        if not path:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": now, "event": event, **facts}).encode() + b"\n"
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":  # a full disk has cut the last line short
                line = b"\n" + line
            os.write(file, line)  # one call: lines of two processes do not mix
            os.fsync(file)
        finally:
            os.close(file)

#!/usr/bin/env python3
"""Parse logs into JSON Lines and find disk pressure, OOM kills, failed units and bursts of errors.

Reads RFC 3164 and RFC 5424 syslog, `journalctl -o json`, dmesg, and the listings that collect_logs.sh writes
(`df`, `systemctl list-units --failed`). Every line of stdout is one JSON object with a `record`:
`event`, `finding`, or, last, `summary`.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from findings import Detector
from log_forms import SEVERITIES, Event, read_line

__all__ = ["main"]

EXIT_FINDINGS = 1
EXIT_UNREADABLE = 3
EXIT_NOTHING_PARSED = 4
MAX_LINE_BYTES = 1 << 20
MAX_FILES = 1000

EPILOG = """\
exit codes:
  0  done
  1  done, and there are findings (only with --fail-on-findings)
  2  wrong usage
  3  no input could be read
  4  no line had a known form

examples:
  parse_logs.py triage/ > records.jsonl
  parse_logs.py --episode episode.json > records.jsonl
  journalctl -o json -n 500 | parse_logs.py --only findings -
"""


class Counts:
    """What is counted over all lines, also over those whose events are not written."""

    def __init__(self) -> None:
        self.lines = 0
        self.unparsed = 0
        self.severities: Counter[str] = Counter()
        self.programs: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.first: str | None = None
        self.last: str | None = None

    def add(self, event: Event) -> None:
        """Count one event."""
        self.severities[event.severity] += 1
        self.programs[event.program or "unknown"] += 1
        self.sources[event.source] += 1
        if event.host:
            self.hosts[event.host] += 1
        if event.time:
            self.first = min(self.first or event.time, event.time)
            self.last = max(self.last or event.time, event.time)

    def document(self, *, findings: int, events_left_out: int) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        return {
            "record": "summary",
            "lines": self.lines,
            "unparsed": self.unparsed,
            "findings": findings,
            "events_left_out": events_left_out,
            "first": self.first,
            "last": self.last,
            "severities": {name: self.severities[name] for name in SEVERITIES if self.severities[name]},
            "programs": dict(self.programs.most_common(10)),
            "hosts": dict(self.hosts.most_common(10)),
            "sources": dict(self.sources.most_common(50)),
        }


def _complain(message: str) -> None:
    print(f"parse_logs: {message}", file=sys.stderr)


def _files(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files; a folder stands for the regular files directly in it, by name."""
    for path in paths:
        folder = Path(path)
        if path != "-" and folder.is_dir():
            inside = sorted(item for item in folder.iterdir() if item.is_file() and not item.is_symlink())
            if len(inside) > MAX_FILES:
                _complain(f"{path}: only the first {MAX_FILES} of {len(inside)} files are read")
            yield from map(str, inside[:MAX_FILES])
        else:
            yield path


def _lines(path: str, max_bytes: int) -> Iterator[str]:
    """Yield the lines of a file, the first ``max_bytes`` bytes of it.

    Raises:
        OSError: it cannot be read.
    """
    with sys.stdin.buffer if path == "-" else Path(path).open("rb") as stream:
        left = max_bytes
        while left > 0 and (line := stream.readline(min(left, MAX_LINE_BYTES))):
            left -= len(line)
            yield line.decode("utf-8", "replace")
        if left <= 0 and stream.read(1):
            _complain(f"{path}: cut at {max_bytes} bytes")


def _outputs(path: str, max_bytes: int) -> Iterator[tuple[str, list[str]]]:
    """Yield what the commands of an episode printed, as `skillpm run --json` stores it, each under its command line.

    Raises:
        OSError: it cannot be read, or is not an episode.
    """
    try:
        steps = json.loads("".join(_lines(path, max_bytes)))["steps"]
        for number, step in enumerate(steps, 1):
            if step["output"]:
                commands = " && ".join(" ".join(map(str, words)) for words in step["argv"])
                yield f"step {number}: {commands}", str(step["output"]).splitlines()
    except (ValueError, RecursionError, LookupError, TypeError):
        raise OSError(errno.EINVAL, "it is not an episode of `skillpm run --json`") from None


def _read(
    source: str, lines: Iterable[str], options: argparse.Namespace, detector: Detector, counts: Counts
) -> Iterator[Event]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        counts.lines += 1
        event = read_line(text, source=source, line=number, now=options.now)
        if event is not None:
            counts.add(event)
            detector.see(event)
            yield event
        elif not detector.see_listing(text.rstrip("\r\n"), source=source, line=number):
            counts.unparsed += 1


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parse_logs.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", metavar="FILE", help="log file, folder of log files, or - for stdin")
    parser.add_argument(
        "--episode",
        action="append",
        default=[],
        metavar="FILE",
        help="of `skillpm run --json`: what its commands printed",
    )
    parser.add_argument("--only", choices=("events", "findings"), help="leave the other records out")
    parser.add_argument(
        "--max-events", type=_positive, default=500, metavar="N", help="newest events kept (default: 500)"
    )
    parser.add_argument(
        "--max-bytes", type=_positive, default=64 << 20, metavar="N", help="read of each file (default: 67108864)"
    )
    parser.add_argument(
        "--burst-window", type=_positive, default=60, metavar="SECONDS", help="of an error burst (default: 60)"
    )
    parser.add_argument("--burst-count", type=_positive, default=10, metavar="N", help="errors in it (default: 10)")
    parser.add_argument(
        "--disk-percent", type=_positive, default=90, metavar="N", help="how full is under pressure (default: 90)"
    )
    parser.add_argument("--now", type=_moment, default=None, help="ISO 8601; gives RFC 3164 times their year")
    parser.add_argument("--fail-on-findings", action="store_true", help="exit 1 when something was found")
    return parser


def _write(records: Iterable[dict[str, Any]]) -> None:
    for record in records:
        print(json.dumps(record, ensure_ascii=False))


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, read the logs, write the records, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.paths or options.episode):
        parser.error("name a FILE, or an --episode")
    options.now = options.now or datetime.now(UTC)
    detector = Detector(window=options.burst_window, threshold=options.burst_count, disk_percent=options.disk_percent)
    counts = Counts()
    newest: deque[Event] = deque(maxlen=options.max_events)
    readable = 0
    for path in _files(options.paths):
        try:
            newest.extend(_read(path, _lines(path, options.max_bytes), options, detector, counts))
            readable += 1
        except OSError as error:
            _complain(f"{path}: {error.strerror}")
    for path in options.episode:
        try:
            for source, lines in _outputs(path, options.max_bytes):
                newest.extend(_read(source, lines, options, detector, counts))
            readable += 1
        except OSError as error:
            _complain(f"{path}: {error.strerror}")
    if not readable:
        _complain("no input could be read")
        return EXIT_UNREADABLE
    if counts.lines and counts.unparsed == counts.lines:
        _complain("no line had a known form (syslog, journalctl -o json, dmesg, df)")
        return EXIT_NOTHING_PARSED
    findings = detector.findings()
    left_out = sum(counts.severities.values()) - len(newest)
    if left_out and options.only != "findings":
        _complain(f"only the newest {len(newest)} events are written; {left_out} older ones are left out")
    if options.only != "findings":
        _write(event.document() for event in newest)
    if options.only != "events":
        _write(finding.document() for finding in findings)
    _write([counts.document(findings=len(findings), events_left_out=left_out)])
    return EXIT_FINDINGS if findings and options.fail_on_findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)

#!/usr/bin/env python3
"""Fill the triage report template with what parse_logs.py found.

Quoted log lines come from anywhere: they stand in code spans, and cannot become headings, links or HTML.
"""

from __future__ import annotations

import argparse
import html
import itertools
import json
import os
import re
import string
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["Records", "as_html", "main", "report"]

TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "triage_report.md"
EXIT_INPUT = 3
EXIT_TEMPLATE = 4
EXIT_OUTPUT = 5
MAX_FINDINGS = 50
MAX_TIMELINE = 40
MAX_QUOTE = 200  # characters

TITLES = {
    "disk_pressure": "Disk pressure",
    "oom_kill": "OOM kill",
    "failed_unit": "Failed unit",
    "error_burst": "Error burst",
}
NEXT_STEPS = {
    "disk_pressure": "See how full the file system is: {code}.",
    "oom_kill": "See what memory is left and what the kernel said: {code}.",
    "failed_unit": "Read why the unit failed before it is restarted: {code}.",
    "error_burst": "Read the errors around the burst: {code}.",
}
COMMANDS = {
    "disk_pressure": "df -h {subject} && journalctl -n 200",
    "oom_kill": "free -m && journalctl -k -n 200",
    "failed_unit": "systemctl status {subject} && journalctl -u {subject} -n 200",
    "error_burst": "journalctl -p err -n 200",
}
WITHOUT_SUBJECT = {"disk_pressure": "df -h / && journalctl -n 200", "failed_unit": "systemctl list-units --failed"}
PATH = re.compile(r"/[A-Za-z0-9@._+/-]*\Z")
UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]*\.[a-z]+\Z")

EPILOG = """\
exit codes:
  0  the report was written
  2  wrong usage
  3  the input cannot be read, or is not what parse_logs.py writes
  4  the template is missing, or asks for something unknown
  5  the output cannot be written

example:
  parse_logs.py triage/ | summarize_findings.py --output report.md
  parse_logs.py --episode episode.json | summarize_findings.py --output report.html
"""


class BadInputError(Exception):
    """The records are not what parse_logs.py writes."""


@dataclass
class Records:
    """What parse_logs.py wrote."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, lines: Iterable[str]) -> Records:
        """Read JSON Lines; events are passed over.

        Raises:
            BadInputError: a line is no record, or the summary is missing.
        """
        records = cls()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            record = _record(line, number)
            if record["record"] == "finding":
                records.findings.append(_checked(record, number))
            elif record["record"] == "summary":
                records.summary = record
        if not records.summary:
            raise BadInputError("no summary record: give the whole output of parse_logs.py")
        return records


def _record(line: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInputError(f"line {number} is not JSON") from None
    if not isinstance(record, dict) or record.get("record") not in ("event", "finding", "summary"):
        raise BadInputError(f"line {number} is no record of parse_logs.py")
    return record


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _checked(finding: dict[str, Any], number: int) -> dict[str, Any]:
    texts = all(isinstance(finding.get(key), str) for key in ("subject", "severity", "detail"))
    evidence = finding.get("evidence")
    if finding.get("kind") not in TITLES or not texts or not _are_objects(evidence):
        raise BadInputError(f"line {number} is no finding of parse_logs.py")
    return finding


def code(text: object) -> str:
    """Quote text as a Markdown code span that it cannot leave."""
    flat = " ".join(str(text).split()).replace("`", "'").replace("|", "¦")
    return f"`{flat if len(flat) <= MAX_QUOTE else flat[: MAX_QUOTE - 1] + '…'}`" if flat else "—"


def _span(first: Any, last: Any) -> str:
    if not first:
        return "unknown time"
    return str(first) if first == last else f"{first} to {last}"


def _times(count: Any) -> str:
    return "once" if count == 1 else f"{count} times"


def _headline(findings: list[dict[str, Any]]) -> str:
    if not findings:
        return "No disk pressure, OOM kill, failed unit or error burst was found in what was read."
    counts = {kind: sum(1 for finding in findings if finding["kind"] == kind) for kind in TITLES}
    parts = [f"{TITLES[kind].lower()}: {count}" for kind, count in counts.items() if count]
    worst = "critical" if any(finding["severity"] == "critical" for finding in findings) else "warning"
    return f"**{worst}**. {'; '.join(parts)}."


def _findings(findings: list[dict[str, Any]]) -> str:
    blocks = []
    for finding in findings[:MAX_FINDINGS]:
        title = [
            f"### {TITLES[finding['kind']]}: {code(finding['subject'])}",
            "",
            f"{finding['severity']}; {code(finding['detail'])}; seen {_times(finding.get('count'))}; "
            f"{_span(finding.get('first'), finding.get('last'))}.",
            "",
        ]
        quotes = [
            f"- {code(item.get('message'))} ({code(item.get('source'))}, line {item.get('line')})"
            for item in finding["evidence"]
        ]
        blocks.append("\n".join([*title, *quotes]))
    if len(findings) > MAX_FINDINGS:
        blocks.append(f"{len(findings) - MAX_FINDINGS} more findings are left out.")
    return "\n\n".join(blocks) or "None."


def _timeline(findings: list[dict[str, Any]]) -> str:
    dated = sorted((f for f in findings if f.get("first")), key=lambda finding: str(finding["first"]))
    lines = [f"- {f['first']} {TITLES[f['kind']].lower()} {code(f['subject'])}" for f in dated[:MAX_TIMELINE]]
    if len(dated) > MAX_TIMELINE:
        lines.append(f"- {len(dated) - MAX_TIMELINE} later ones are left out")
    return "\n".join(lines) or "No finding carries a time."


def _command(finding: dict[str, Any]) -> str:
    """Return the command to go on with; a subject that a shell could read otherwise is left out of it."""
    kind, subject = finding["kind"], finding["subject"]
    if kind in WITHOUT_SUBJECT and not (PATH if kind == "disk_pressure" else UNIT).match(subject):
        return WITHOUT_SUBJECT[kind]
    return COMMANDS[kind].format(subject=subject)


def _next_steps(findings: list[dict[str, Any]]) -> str:
    steps: dict[str, None] = {}
    for finding in findings:
        steps[NEXT_STEPS[finding["kind"]].format(code=code(_command(finding)))] = None
    lines = [f"{number}. {step}" for number, step in enumerate(list(steps)[:10], 1)]
    return "\n".join(lines) or "1. Widen the period, or read the logs of the service that people complain about."


def report(records: Records, template: str, *, title: str, host: str | None, generated: str) -> str:
    """Return the report.

    Raises:
        KeyError: the template asks for something unknown.
        ValueError: the template has a stray ``$``.
    """
    summary, findings = records.summary, records.findings
    hosts = ", ".join(code(name) for name in summary.get("hosts") or {})
    severities = summary.get("severities") or {}
    return string.Template(template).substitute(
        title=title,
        host=code(host) if host else hosts or "unknown",
        period=_span(summary.get("first"), summary.get("last")),
        read=f"{summary.get('lines')} lines, {summary.get('unparsed')} of unknown form",
        generated=generated,
        headline=_headline(findings),
        findings=_findings(findings),
        timeline=_timeline(findings),
        next_steps=_next_steps(findings),
        sources="\n".join(f"- {code(name)}: {count} events" for name, count in (summary.get("sources") or {}).items())
        or "No events.",
        severities=", ".join(f"{count} {name}" for name, count in severities.items()) or "none",
    )


PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
th {{ text-align: left; padding-right: 1rem }}
code {{ overflow-wrap: anywhere; background: color-mix(in srgb, currentColor 8%, transparent); padding: 0 .2em }}
</style>
{body}
</html>
"""


def as_html(markdown: str) -> str:
    """Return a page of a report: headings, tables of two columns, lists and paragraphs. All text is escaped."""
    parts: list[tuple[str, str]] = []  # the element around a line, and the line in its own
    for line in markdown.split("\n"):
        marks, _, text = line.partition(" ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch("#{1,6}", marks):
            parts.append(("", f"<h{len(marks)}>{_inline(text)}</h{len(marks)}>"))
        elif line.startswith("|") and re.search(r"[^|\s-]", line):
            parts.append(("table", f"<tr><th>{_inline(cells[0])}</th><td>{_inline(' '.join(cells[1:]))}</td></tr>"))
        elif marks == "-" or re.fullmatch(r"\d+\.", marks):
            parts.append(("ul" if marks == "-" else "ol", f"<li>{_inline(text)}</li>"))
        elif line.strip() and not line.startswith("|"):
            parts.append(("p", _inline(line)))
        else:
            parts.append(("", ""))
    body = []
    for around, lines in itertools.groupby(parts, key=lambda part: part[0]):
        inner = "\n".join(text for _, text in lines if text)
        body.append(f"<{around}>\n{inner}\n</{around}>" if around else inner)
    title = next((text for _, text in parts if text.startswith("<h1>")), "")
    return PAGE.format(title=re.sub("<[^>]*>", "", title), body="\n".join(filter(None, body)))


def _inline(text: str) -> str:
    """Return a line with its code spans and what is bold, escaped."""
    pieces = html.escape(text).split("`")
    bold = [re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", piece) for piece in pieces]
    return "".join(f"<code>{pieces[place]}</code>" if place % 2 else bold[place] for place in range(len(pieces)))


def _complain(message: str) -> None:
    print(f"summarize_findings: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="summarize_findings.py",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("records", nargs="?", default="-", metavar="FILE", help="of parse_logs.py; default: stdin")
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="string.Template text (default: the skill's)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: stdout")
    parser.add_argument("--format", choices=("markdown", "html"), help="default: by the name of the output")
    parser.add_argument("--title", default="Triage report")
    parser.add_argument("--host", help="default: the hosts that the logs name")
    return parser


def _write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as stream:
        stream.write(text)
    Path(stream.name).chmod(0o644)
    Path(stream.name).replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, write the report, and return the exit code."""
    options = _parser().parse_args(arguments)
    generated = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        text = sys.stdin.read() if options.records == "-" else Path(options.records).read_text("utf-8")
        records = Records.read(text.split("\n"))
    except (OSError, UnicodeDecodeError, BadInputError) as error:
        _complain(f"{options.records}: {error}")
        return EXIT_INPUT
    try:
        template = options.template.read_text("utf-8")
        filled = report(records, template, title=options.title, host=options.host, generated=generated)
    except (OSError, KeyError, ValueError) as error:
        _complain(f"{options.template}: {error}")
        return EXIT_TEMPLATE
    by_name = "html" if options.output is not None and options.output.suffix in (".html", ".htm") else "markdown"
    if (options.format or by_name) == "html":
        filled = as_html(filled)
    if options.output is None:
        sys.stdout.write(filled)
        return 0
    try:
        _write(options.output, filled)
    except OSError as error:
        _complain(f"{options.output}: {error.strerror}")
        return EXIT_OUTPUT
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)

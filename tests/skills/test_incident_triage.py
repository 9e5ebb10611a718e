"""incident-triage: its scripts run for real, its verifier through `skillpm score`, its documents against each other."""

from __future__ import annotations

import html
import importlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from skillpm.formats.document import read_json_lines, read_model
from skillpm.model.suite import Suite
from skillpm.model.synthesis import Entry, SynthesisDocument
from skillpm.model.task import Seed, request_key
from tests.chat import MakeChat
from tests.serving import compiled
from tests.shop import MakeProject
from tests.terminal import at_terminal

SKILL = Path(__file__).parents[2] / "skills" / "incident-triage"
SCRIPTS = SKILL / "scripts"
SAMPLES = [SKILL / "assets" / "sample.log", SKILL / "assets" / "sample_journal.jsonl"]
NOW = "2026-10-15T00:00:00Z"
CONTRACT = compiled((SKILL / "contract.yaml").read_text())
SEEDS = [seed for _, seed in read_json_lines(Seed, (SKILL / "seeds" / "seeds.jsonl").read_text())]
SUITE = read_model(Suite, (SKILL / "suites" / "handwritten.yaml").read_text())
SYNTHESIS = read_model(SynthesisDocument, (SKILL / "synthesis.yaml").read_text())


def run(script: Path, *words: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the skill; nothing that it says may be a traceback."""
    if script.suffix == ".py":
        return called(script, *map(str, words), stdin=stdin)
    done = subprocess.run(
        ["/bin/sh", script, *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def called(script: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Call the function ``main`` of a script in this process, with streams as a process has them."""
    raw = [io.BytesIO(text.encode("utf-8", "surrogateescape")) for text in (stdin, "", "")]
    given, out, err = (io.TextIOWrapper(stream, "utf-8", "surrogateescape") for stream in raw)
    places: dict[str, Any] = {"argv": [str(script), *words], "path": [str(SCRIPTS), *sys.path]}
    code: object
    with mock.patch.multiple(sys, stdin=given, stdout=out, stderr=err, **places):
        try:
            code = importlib.import_module(script.stem).main([*words])
        except SystemExit as ended:
            code = ended.code
        out.flush()
        err.flush()
    texts = (stream.getvalue().decode("utf-8", "surrogateescape") for stream in raw[1:])  # a script may close its stdin
    return subprocess.CompletedProcess(words, int(str(code)), *texts)


def parse(*words: str | Path, stdin: str = "") -> list[dict[str, Any]]:
    """Return the records of parse_logs.py."""
    done = run(SCRIPTS / "parse_logs.py", "--now", NOW, *words, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def only(records: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["record"] == kind]


def findings(*lines: str, options: tuple[str, ...] = ()) -> list[tuple[str, str, int]]:
    """Return (kind, subject, count) of what is found in these lines."""
    found = only(parse(*options, "-", stdin="\n".join(lines) + "\n"), "finding")
    return [(item["kind"], item["subject"], item["count"]) for item in found]


# --- forms of a line


FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "rfc3164": (
        "Oct 14 03:07:02 node-17 sshd[412]: Accepted publickey for deploy",
        {"time": "2026-10-14T03:07:02.000Z", "host": "node-17", "program": "sshd", "pid": 412, "severity": "info"},
    ),
    "rfc3164-with-pri": (
        "<11>Oct  4 03:07:02 node-17 app: all is well",
        {"time": "2026-10-04T03:07:02.000Z", "program": "app", "pid": None, "severity": "err"},
    ),
    "rfc3164-of-last-year": ("Dec 31 23:59:59 node-17 app: bye", {"time": "2025-12-31T23:59:59.000Z"}),
    "rfc3164-on-a-leap-day": ("Feb 29 10:00:00 node-17 app: rare", {"time": "2024-02-29T10:00:00.000Z"}),
    "rfc3164-without-a-tag": (
        "Oct 14 03:07:02 node-17 last message repeated 2 times",
        {"host": "node-17", "program": None, "message": "last message repeated 2 times"},
    ),
    "rsyslog-with-an-iso-time": (
        "2026-10-14T05:07:02.123456+02:00 node-17 systemd[1]: Started Session 8.",
        {"time": "2026-10-14T03:07:02.123Z", "program": "systemd", "message": "Started Session 8."},
    ),
    "rfc5424": (
        r'<165>1 2026-10-14T03:07:02.5Z node-17 app 77 ID47 [a b="x \] y"][c d="1"] the message',
        {
            "time": "2026-10-14T03:07:02.500Z",
            "program": "app",
            "pid": 77,
            "severity": "notice",
            "message": "the message",
        },
    ),
    "rfc5424-of-nil-values": (
        "<34>1 - - - - - - \ufeffhello",
        {"time": None, "host": None, "program": None, "pid": None, "severity": "crit", "message": "hello"},
    ),
    "rfc5424-without-a-message": ("<34>1 2026-10-14T03:07:02Z h app - - -", {"program": "app", "message": ""}),
    "journal": (
        json.dumps(
            {
                "__REALTIME_TIMESTAMP": "1791947222000001",
                "_HOSTNAME": "node-17",
                "SYSLOG_IDENTIFIER": "app",
                "_PID": "77",
                "PRIORITY": "4",
                "_SYSTEMD_UNIT": "app.service",
                "MESSAGE": "slow",
            }
        ),
        {"time": "2026-10-14T03:07:02.000Z", "program": "app", "pid": 77, "severity": "warning", "unit": "app.service"},
    ),
    "journal-of-bytes": ('{"MESSAGE": [99, 97, 102, 233]}', {"message": "caf\ufffd", "time": None}),
    "journal-of-repeated-fields": ('{"MESSAGE": ["one", "two"]}', {"message": "one two"}),
    "dmesg": (
        "[    1.319757] EXT4-fs (vda): mounted",
        {"time": None, "program": "kernel", "message": "EXT4-fs (vda): mounted"},
    ),
    "dmesg-with-an-iso-time": (
        "2026-10-14T03:07:02,319757+00:00 EXT4-fs (vda): mounted",
        {"time": "2026-10-14T03:07:02.319Z", "host": None, "program": "kernel", "message": "EXT4-fs (vda): mounted"},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read_into_the_same_fields(form: str) -> None:
    line, expected = FORMS[form]
    (event,) = only(parse("-", stdin=line + "\n"), "event")
    assert {key: event[key] for key in expected} == expected


def test_words_make_a_severity_where_the_line_has_none() -> None:
    events = only(parse("-", stdin="Oct 14 03:07:02 h a: request failed\nOct 14 03:07:02 h a: unfailing\n"), "event")
    assert [event["severity"] for event in events] == ["err", "info"]


def test_control_characters_never_reach_the_output() -> None:
    (event,) = only(parse("-", stdin="Oct 14 03:07:02 h a: red\x1b[31m alarm\x1b\x1b[0m\u202eevil\n"), "event")
    assert event["message"] == "red [31m alarm [0m evil"


def test_long_lines_are_cut_and_old_events_left_out() -> None:
    lines = [f"Oct 14 03:07:02 h a: {number} {'x' * 3000}" for number in range(700)]
    done = run(SCRIPTS / "parse_logs.py", "--max-events", "5", "-", stdin="\n".join(lines))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["message"].split()[0] for event in only(records, "event")] == ["695", "696", "697", "698", "699"]
    assert max(len(event["message"]) for event in only(records, "event")) == 500
    assert records[-1]["events_left_out"] == 695
    assert "695 older ones are left out" in done.stderr


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_any_bytes_are_parsed_or_counted_as_unparsed(size: int) -> None:
    data = random.Random(size).randbytes(size) + b'\n{"MESSAGE": \n' + b"[" * 100_000
    done = subprocess.run([sys.executable, SCRIPTS / "parse_logs.py", "-"], input=data, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"Traceback" not in done.stderr


# --- findings


def log(message: str, second: int = 0, program: str = "app[7]", pri: int = 14) -> str:
    return f"<{pri}>Oct 14 03:{second // 60:02}:{second % 60:02} node-17 {program}: {message}"


FOUND = {
    "disk: no space": (log("write /data/a.gz: No space left on device"), ("disk_pressure", "/data/a.gz", 1)),
    "disk: quota": (log("mail: Disk quota exceeded"), ("disk_pressure", "unknown path", 1)),
    "disk: errno": (log("Error: ENOSPC, open '/srv/x'"), ("disk_pressure", "/srv/x", 1)),
    "disk: df": ("/dev/sda1  1000  950  50  95% /var", ("disk_pressure", "/var", 1)),
    "disk: df -h": ("/dev/mapper/vg-a  2.0T  1.9T  -12M  99% /srv/a b", ("disk_pressure", "/srv/a b", 1)),
    "oom: kernel": (
        log("Out of memory: Killed process 12 (java) total-vm:9kB", program="kernel"),
        ("oom_kill", "java", 1),
    ),
    "oom: cgroup": (
        log("Memory cgroup out of memory: Killed process 12 (tab 1) total-vm:9kB", program="kernel"),
        ("oom_kill", "tab 1", 1),
    ),
    "oom: systemd": (
        log("a.service: A process of this unit has been killed by the OOM killer.", program="systemd[1]"),
        ("oom_kill", "a.service", 1),
    ),
    "unit: result": (
        log("web.service: Failed with result 'exit-code'.", program="systemd[1]"),
        ("failed_unit", "web.service", 1),
    ),
    "unit: restart loop": (
        log("web.service: Start request repeated too quickly.", program="systemd[1]"),
        ("failed_unit", "web.service", 1),
    ),
    "unit: older systemd": (
        log("Unit web.service entered failed state.", program="systemd[1]"),
        ("failed_unit", "web.service", 1),
    ),
    "unit: listing with a mark": (
        "● web.service loaded failed failed The web server",
        ("failed_unit", "web.service", 1),
    ),
    "unit: listing": ("web.service loaded failed failed The web server", ("failed_unit", "web.service", 1)),
}
QUIET = {
    "space is left": log("space left on device: 40 %"),
    "a request failed": log("request failed with result 500"),
    "df below the limit": "/dev/sda1  1000  890  110  89% /var",
    "memory is fine": log("memory: 12 processes killed time waiting"),
    "a unit is active": "web.service loaded active running The web server",
    "a unit was started": log("Started web.service.", program="systemd[1]"),
}


@pytest.mark.parametrize("case", FOUND)
def test_each_kind_is_found(case: str) -> None:
    line, expected = FOUND[case]
    assert findings(line) == [expected]


@pytest.mark.parametrize("case", QUIET)
def test_what_only_sounds_like_trouble_is_not_found(case: str) -> None:
    assert findings(QUIET[case], log("an ordinary line")) == []


def test_lines_about_one_subject_are_one_finding() -> None:
    lines = [log("web.service: Failed with result 'exit-code'.", second, "systemd[1]") for second in (1, 50, 90)]
    (found,) = only(parse("-", stdin="\n".join(lines)), "finding")
    assert (found["count"], found["first"][11:19], found["last"][11:19]) == (3, "03:00:01", "03:01:30")


def test_a_unit_that_failed_for_a_reason_says_it() -> None:
    lines = [
        log("Failed to start web.service.", program="systemd[1]"),
        log("web.service: Failed with result 'timeout'.", program="systemd[1]"),
    ]
    (found,) = only(parse("-", stdin="\n".join(lines)), "finding")
    assert (found["subject"], found["detail"]) == ("web.service", "failed: timeout")


BURSTS = {
    "ten in sixty seconds": ([*range(0, 54, 6), 60], [("error_burst", "app", 10)]),
    "nine in sixty seconds": ([*range(0, 54, 6)], []),
    "ten in sixty-one seconds": ([*range(0, 54, 6), 61], []),
    "one every seven seconds": ([*range(0, 700, 7)], []),
    "one every five seconds": ([*range(0, 600, 5)], [("error_burst", "app", 120)]),
    "two far apart": ([*range(10), *range(900, 912)], [("error_burst", "app", 12), ("error_burst", "app", 10)]),
    "out of order": ([*range(9, -1, -1)], [("error_burst", "app", 10)]),
}


@pytest.mark.parametrize("case", BURSTS)
def test_a_burst_is_ten_errors_of_one_program_within_a_minute(case: str) -> None:
    seconds, expected = BURSTS[case]
    assert findings(*(log("it broke", second, pri=11) for second in seconds)) == expected


def test_errors_of_several_programs_and_warnings_make_no_burst() -> None:
    assert findings(*(log("it broke", second, f"app{second % 2}[1]", pri=11) for second in range(18))) == []
    assert findings(*(log("it creaks", second, pri=12) for second in range(50))) == []


def test_the_window_and_the_rate_can_be_chosen() -> None:
    lines = [log("it broke", second, pri=11) for second in (0, 1, 2)]
    assert findings(*lines, options=("--burst-count", "3", "--burst-window", "2")) == [("error_burst", "app", 3)]


def test_the_samples_hold_every_kind_of_finding() -> None:
    found = only(parse(*SAMPLES), "finding")
    assert {item["kind"] for item in found} == {"disk_pressure", "oom_kill", "failed_unit", "error_burst"}
    by_subject = {(item["kind"], item["subject"]): item for item in found}
    assert by_subject["oom_kill", "java"]["first"] == "2026-10-14T03:22:03.000Z"
    assert by_subject["failed_unit", "ledger-api.service"]["detail"] == "failed: oom-kill"
    assert by_subject["error_burst", "report-web"]["count"] == 11


def test_exit_codes_of_the_parser_are_distinct(tmp_path: Path) -> None:
    parser = SCRIPTS / "parse_logs.py"
    assert run(parser, "--fail-on-findings", *SAMPLES).returncode == 1
    assert run(parser, "--burst-count", "0", "-").returncode == 2
    assert run(parser, tmp_path / "missing").returncode == 3
    assert run(parser, "-", stdin="no log at all\n").returncode == 4
    assert run(parser, "--fail-on-findings", "-", stdin=log("fine")).returncode == 0


# --- the report


def report(records: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return run(SCRIPTS / "summarize_findings.py", *words, stdin=records)


def sample_records() -> str:
    return run(SCRIPTS / "parse_logs.py", "--now", NOW, *SAMPLES).stdout


def test_the_report_tells_what_was_found_when_and_what_to_do(tmp_path: Path) -> None:
    done = report(sample_records(), "--output", tmp_path / "report.md", "--title", "Night of the 14th")
    text = (tmp_path / "report.md").read_text()
    assert (done.returncode, done.stdout) == (0, "")
    assert text.startswith("# Night of the 14th\n")
    assert "### OOM kill: `java`" in text
    assert "- 2026-10-14T03:22:03.000Z oom kill `java`" in text
    assert "systemctl status logship.service && journalctl -u logship.service -n 200" in text
    assert "$" not in text


def test_every_command_that_the_report_suggests_is_one_that_the_contract_allows() -> None:
    steps = report(sample_records()).stdout.split("## Next steps")[1].split("## ")[0]
    commands = re.findall(r"`([^`]+)`", steps)
    assert len(commands) >= 6
    for command in commands:
        assert CONTRACT.argv(answer(command)), command


def test_the_page_of_a_report_says_the_same_and_runs_nothing(tmp_path: Path) -> None:
    hostile = log("kernel: Out of memory: Killed process 1 (<script>alert(1)</script>) | `x` **y** # z")
    records = run(SCRIPTS / "parse_logs.py", "--now", NOW, "-", stdin=hostile).stdout
    title = "<img src=x> & `code`"
    assert report(records, "--output", tmp_path / "report.html", "--title", title).returncode == 0
    page = (tmp_path / "report.html").read_text()
    assert "default-src 'none'" in page and "<script" not in page and "<img" not in page
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<h1>&lt;img src=x&gt; &amp; <code>code</code></h1>" in page
    )
    plain = report(records, "--title", title).stdout
    words = re.findall(r"\w+", html.unescape(re.sub("<[^>]*>", " ", page.partition("</style>")[2])))
    assert set(re.findall(r"\w+", plain)) <= set(words)
    parts = re.findall(r"</?(h\d|table|ul|ol|p|li|tr)>", page)
    assert all(parts.count(name) % 2 == 0 for name in set(parts))
    assert report(records, "--format", "html").stdout.startswith("<!doctype html>")


def test_what_is_no_episode_is_an_error(tmp_path: Path) -> None:
    for text in ("", "[]", "{", '{"steps": 3}', '{"steps": [3]}', "[" * 10_000):
        (tmp_path / "episode.json").write_text(text)
        done = run(SCRIPTS / "parse_logs.py", "--episode", tmp_path / "episode.json")
        assert done.returncode == 3 and "is not an episode" in done.stderr and "Traceback" not in done.stderr
    assert run(SCRIPTS / "parse_logs.py").returncode == 2


@pytest.mark.slow
def test_an_episode_of_several_confirmed_steps_becomes_a_report(
    project: MakeProject, chat: MakeChat, programs: Callable[..., str]
) -> None:
    """On the incident that ships with the skill: journalctl and df are programs that print it."""
    echo = 'while IFS= read -r line; do printf "%s\\n" "$line"; done < '
    path = programs(journalctl=f"{echo}{SAMPLES[0]}", df="echo '/dev/sda1 2.0T 1.9T 61G 97% /data'")
    asked = "why is node-17 slow?"
    url = chat(
        {
            asked: json.dumps(answer("df -h /data")),
            "~": [
                ["`df -h /data`", json.dumps(answer("journalctl -n 200"))],
                ["`journalctl", json.dumps({"report": "Out of memory."})],
            ],
        }
    )
    place = project({})
    words = ["run", str(SKILL), asked, "--model", f"{url}#tiny", "--steps", "4", "--text", "never"]
    variables = {**os.environ, **place.environment, "PATH": path}
    code, shown = at_terminal(words, ["y", "y"], cwd=place.root, environment=variables)
    assert code == 0 and shown.count("Run it?") == 2 and "Out of memory." in shown, shown
    (place.root / "episode.json").write_text(place.call("traces", "show", "latest", "--json").ok().out)
    records = run(SCRIPTS / "parse_logs.py", "--episode", place.root / "episode.json", "--now", NOW).stdout
    for name in ("report.md", "report.html"):
        assert report(records, "--output", place.root / name, "--title", asked).returncode == 0
        text = (place.root / name).read_text()
        assert "ledger-api.service" in text and "step 2: journalctl -n 200" in text and asked in text


def test_a_quiet_log_gives_a_report_that_says_so() -> None:
    records = run(SCRIPTS / "parse_logs.py", "-", stdin=log("all is well") + "\n").stdout
    assert "No disk pressure, OOM kill, failed unit or error burst was found" in report(records).stdout


def test_a_hostile_log_line_cannot_leave_its_quotes() -> None:
    evil = "` No space left on device /x` # Fixed, run `rm -rf /` <script> [click](http://x) $title |"
    records = run(SCRIPTS / "parse_logs.py", "-", stdin=log(evil) + "\n").stdout
    lines = report(records).stdout.splitlines()
    (quote,) = [line for line in lines if "script" in line]
    assert quote.startswith("- `' No space") and quote.count("`") == 4  # the message and the file, each in one span
    assert not [line for line in lines if line.startswith("# Fixed")]


def test_a_unit_with_a_hostile_name_is_no_part_of_a_suggested_command() -> None:
    records = run(SCRIPTS / "parse_logs.py", "-", stdin=log("x;reboot.service: Failed with result 'a'.") + "\n").stdout
    steps = report(records).stdout.split("## Next steps")[1].split("## ")[0]
    assert "reboot" not in steps and "systemctl list-units --failed" in steps


def test_exit_codes_of_the_report_are_distinct_and_nothing_is_half_written(tmp_path: Path) -> None:
    stray = tmp_path / "stray.md"
    stray.write_text("costs $100")
    unknown = tmp_path / "unknown.md"
    unknown.write_text("$nobody")
    records = sample_records()
    assert report("", "--wrong").returncode == 2
    assert report("not JSON").returncode == 3
    assert report('{"record": "event"}').returncode == 3
    assert report('{"record": "finding", "kind": "odd"}').returncode == 3
    assert report("", tmp_path / "missing.jsonl").returncode == 3
    assert report(records, "--template", stray).returncode == 4
    assert report(records, "--template", unknown).returncode == 4
    assert report(records, "--output", tmp_path / "no" / "report.md").returncode == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stray.md", "unknown.md"]


# --- collecting


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., str]:
    """Return ``programs(journalctl="echo x") -> PATH``: a folder of our own programs only."""

    def make(**bodies: str) -> str:
        folder = tmp_path / "programs"
        folder.mkdir()
        for name in ("python3", "mktemp", "date", "mkdir", "ls", "rm", "dirname", "basename", "tail", "head", "tr"):
            found = sys.executable if name == "python3" else _which(name)
            (folder / name).symlink_to(found)
        for name, body in bodies.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
        return str(folder)

    return make


def _which(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, name
    return found


def collect(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(SCRIPTS / "collect_logs.sh", *words, **environment)


def test_a_named_log_file_is_collected_by_its_newest_lines(tmp_path: Path) -> None:
    done = collect("--output", tmp_path / "out", "--file", SAMPLES[0], "--lines", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/out/sample.log\n"
    assert (tmp_path / "out" / "sample.log").read_text() == "".join(SAMPLES[0].read_text().splitlines(True)[-4:])


def test_the_journal_is_collected_where_it_has_entries(tmp_path: Path, programs: Callable[..., str]) -> None:
    path = programs(journalctl='echo "{\\"MESSAGE\\": \\"$*\\"}"', dmesg="echo no >&2; exit 1")
    done = collect("--output", tmp_path / "out", "--since", "-2h", "--unit", "a.service", "--lines", "9", PATH=path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "journal.jsonl").read_text()) == {
        "MESSAGE": "--no-pager -o json -n 9 --since=-2h --unit=a.service"
    }
    assert "df is not on this machine" in done.stderr


def test_without_a_journal_it_says_so_and_goes_on(tmp_path: Path, programs: Callable[..., str]) -> None:
    done = collect("--output", tmp_path / "out", PATH=programs(dmesg="echo '[    1.000000] hello'"))
    assert done.returncode == 0, done.stderr
    assert "journalctl is not on this machine" in done.stderr
    assert "no journal; falling back to log files" in done.stderr
    assert (tmp_path / "out" / "dmesg.log").read_text() == "[    1.000000] hello\n"


def test_a_command_that_hangs_is_ended_and_the_rest_is_collected(tmp_path: Path, programs: Callable[..., str]) -> None:
    path = programs(journalctl="while :; do :; done", dmesg="echo '[    1.000000] hello'")
    done = collect("--output", tmp_path / "out", "--timeout", "1", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "journalctl was ended after 1 seconds" in done.stderr


def test_output_is_bounded(tmp_path: Path, programs: Callable[..., str]) -> None:
    path = programs(journalctl='while :; do echo \'{"MESSAGE": "again"}\'; done')
    done = collect("--output", tmp_path / "out", "--timeout", "1", "--max-bytes", "2000", PATH=path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "journal.jsonl").stat().st_size == 2000


def test_exit_codes_of_the_collector_are_distinct(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    out = ("--output", tmp_path / "out")
    assert collect("--lines", "many").returncode == 2
    assert collect("--what").returncode == 2
    assert collect(*out, "--file", SAMPLES[0], SHELL_TOOLS=str(tmp_path)).returncode == 3
    assert collect(*out, "--file", tmp_path / "missing.log").returncode == 4
    assert collect("--output", tmp_path / "full", "--file", SAMPLES[0]).returncode == 5


def test_a_missing_shell_tools_is_named_with_the_way_out(tmp_path: Path) -> None:
    done = collect("--output", tmp_path / "out", SHELL_TOOLS=str(tmp_path / "nowhere"))
    assert "skillpm install shell-tools" in done.stderr
    assert not (tmp_path / "out").exists()


def test_this_machines_own_logs_go_all_the_way_to_a_report(tmp_path: Path) -> None:
    """Containers may have no readable log at all; then the collector must say so, with its own exit code."""
    done = collect("--output", tmp_path / "out", "--lines", "200", "--timeout", "10")
    assert done.returncode in (0, 4), done.stderr
    if done.returncode == 4:
        assert "no log could be read" in done.stderr
        return
    records = run(SCRIPTS / "parse_logs.py", tmp_path / "out")
    assert records.returncode in (0, 4), records.stderr
    if records.returncode == 0:
        assert report(records.stdout).returncode == 0


@pytest.mark.parametrize("script", ["collect_logs.sh", "parse_logs.py", "summarize_findings.py"])
def test_every_script_explains_itself_and_its_exit_codes(script: str) -> None:
    done = run(SCRIPTS / script, "--help")
    assert done.returncode == 0 and "exit codes" in done.stdout.lower() and not done.stderr


# --- the verifier, through `skillpm score`


def answer(command: str, timeout: int = 30, directory: str | None = None) -> dict[str, Any]:
    arguments = {"command": command, "timeout_seconds": timeout, "working_directory": directory}
    return {"tool": "run_command", "args": arguments}


SAME = [
    ("journalctl -n 200", "journalctl --lines=200"),
    ("journalctl -n 200", "journalctl --lines 200"),
    ("journalctl -n 200", "journalctl -n200"),
    ("journalctl -n 200", "  journalctl   -n  200 --no-pager "),
    ("journalctl -u nginx.service -n 200", "journalctl -n 200 --unit=nginx.service"),
    ("journalctl -u nginx.service -n 200", "journalctl --unit nginx -n 200"),
    ("journalctl -p err -n 50", "journalctl -n 50 --priority=3"),
    ("journalctl -p err -n 50 --since=-2h", "journalctl -p err -n 50 -S '2 hours ago'"),
    ("journalctl -p err -n 50 --since=-2h", "journalctl --since=-120min -p err -n 50"),
    ("journalctl -b -p err -n 200", "journalctl --boot=0 -p err -n 200"),
    ("journalctl -b-1 -p err -n 200", "journalctl --boot=-1 -n 200 -p err"),
    ("journalctl -k -n 200", "journalctl --dmesg -n 200"),
    ("df -h / && journalctl -n 200", "df / -h&&journalctl -n 200"),
    ("df -h /", "df --human-readable '/'"),
    ("du -h -d 1 /srv", "du --max-depth=1 --human-readable /srv"),
    ("ss -tlnp sport = :8080", "ss -p -n -lt 'sport = :8080'"),
    ("systemctl status nginx.service", "systemctl --no-pager status nginx"),
    ("systemctl list-units --failed", "systemctl --state=failed list-units"),
    ("systemctl list-units --failed", "systemctl --failed"),
    ("journalctl -b-1 -p err -n 200", "journalctl -b -1 -p err -n 200"),
    ("journalctl -b -p err -n 200", "journalctl -b 0 -p err -n 200"),
    ("journalctl -p err -n 50 --since=-2h", "journalctl --since -2h -p err -n 50"),
    ("journalctl -p err -n 50 --since=-2h", "journalctl -S -2h -p err -n 50"),
    ("du -h -d 1 /var", "du -hd1 /var"),
    ("du -h -d 1 /var", "du -hd 1 /var/"),
    ("top -b -n 1", "top -bn1"),
    ("df -h /", "df -h -- /"),
    ("journalctl -u a -u b -n 5", "journalctl -u b.service -n 9 -n 5 -u a.service"),
]
DIFFERENT = [
    ("df -h / && journalctl -n 200", "journalctl -n 200 && df -h /"),
    ("journalctl -n 200", "journalctl -n 20"),
    ("journalctl -n 200", "journalctl -n 200 -k"),
    ("journalctl -u nginx.service -n 200", "journalctl -u nginx.socket -n 200"),
    ("journalctl -p err -n 50", "journalctl -p warning -n 50"),
    ("journalctl -p err -n 50 --since=-2h", "journalctl -p err -n 50 --since=-2min"),
    ("journalctl -p err -n 50 --since=-2h", "journalctl -p err -n 50 --until=-2h"),
    ("journalctl -b -p err -n 200", "journalctl -b-1 -p err -n 200"),
    ("df -h /", "df -i /"),
    ("df -h / /var", "df -h /var /"),
    ("systemctl status nginx.service", "systemctl is-active nginx.service"),
    ("journalctl -b -p err -n 200", "journalctl -b -1 -p err -n 200"),
    ("journalctl -u a -u b -n 5", "journalctl -u a -n 5"),
    ("systemctl list-units --failed", "systemctl list-timers --failed"),
    ("top -b -n 1", "top -b -n 2"),
]
REFUSED = [
    ("journalctl -n 200", "journalctl -n 200; reboot"),
    ("journalctl -n 200", "journalctl -n 200 | cat"),
    ("journalctl -n 200", "journalctl -n 200 && reboot"),
    ("journalctl -n 200", "journalctl -n 200 --rotate"),
    ("journalctl -n 200", "journalctl -n 200 -f"),
    ("journalctl -n 200", "sudo journalctl -n 200"),
    ("df -h /", "df -h $HOME"),
    ("df -h /", "df -h / &&"),
    ("systemctl status nginx.service", "systemctl stop nginx.service"),
]


def score(project: MakeProject, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judge rows with the bundled skill."""
    done = project().call("score", "incident-triage", stdin="".join(json.dumps(row) + "\n" for row in rows)).ok()
    return [json.loads(line) for line in done.out.splitlines()]


def rows_of(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"expected": answer(expected), "completion": json.dumps(answer(given))} for expected, given in pairs]


def test_equal_commands_pass_different_ones_fail_and_refused_ones_have_no_argv(project: MakeProject) -> None:
    judged = score(project, rows_of([*SAME, *DIFFERENT, *REFUSED]))
    same, rest = judged[: len(SAME)], judged[len(SAME) :]
    different, refused = rest[: len(DIFFERENT)], rest[len(DIFFERENT) :]
    assert [pair for pair, row in zip(SAME, same, strict=True) if row["status"] != "passed" or row["score"] != 1] == []
    assert [pair for pair, row in zip(DIFFERENT, different, strict=True) if row["status"] == "passed"] == []
    assert [pair for pair, row in zip(DIFFERENT, different, strict=True) if not row["argv"]] == []
    assert [pair for pair, row in zip(REFUSED, refused, strict=True) if row["argv"] is not None] == []
    assert max(row["score"] for row in refused) < min(row["score"] for row in different)


def test_the_argv_of_an_equal_answer_is_what_was_really_written(project: MakeProject) -> None:
    (row,) = score(project, rows_of([("df -h / && journalctl -n 200", "df / -h && journalctl --lines=200")]))
    assert row["argv"] == [["df", "/", "-h"], ["journalctl", "--lines=200"]]


def test_an_equal_command_with_another_limit_or_prose_around_it_does_not_pass(project: MakeProject) -> None:
    expected = answer("journalctl -n 200")
    given = [
        json.dumps(answer("journalctl --lines=200", 60)),
        json.dumps(answer("journalctl --lines=200", 30, "/srv")),
        json.dumps(answer("journalctl --lines=200")) + " and also rm -rf /",
    ]
    judged = score(project, [{"expected": expected, "completion": text} for text in given])
    assert [row["status"] for row in judged] == ["failed", "failed", "failed"]
    assert judged[2]["argv"] is None


# --- the documents among each other


def test_every_expected_answer_is_one_that_the_contract_would_run() -> None:
    for seed in [*SEEDS, *SUITE.tasks]:
        assert isinstance(seed, Seed)
        assert CONTRACT.argv(CONTRACT.complete(seed.expected)), seed.request


def test_no_request_of_the_suite_is_a_seed_and_none_stands_twice() -> None:
    requests = [request_key(seed.request) for seed in [*SEEDS, *SUITE.tasks] if isinstance(seed, Seed)]
    assert len(requests) == len(set(requests)) == len(SEEDS) + len(SUITE.tasks)
    assert len(SEEDS) >= 30 and len(SUITE.tasks) >= 48


def pool_words(name: str) -> set[str]:
    return {str(item.value if isinstance(item, Entry) else item) for item in SYNTHESIS.values[name].choice or ()}


def test_the_suite_uses_values_that_no_synthesis_rule_has() -> None:
    """Shared are only what the rules of SKILL.md name: `/`, 30 seconds, 200 lines."""
    known = set().union(*(pool_words(name) for name, pool in SYNTHESIS.values.items() if pool.choice)) | {"30"}
    low, high = SYNTHESIS.values["counts"].integers or (0, 0)
    limits = pool_words("limits")
    for task in SUITE.tasks:
        assert isinstance(task, Seed)
        command, timeout, directory = task.expected["args"].values()
        words = re.findall(r"\S+\.(?:service|timer|socket)|/\S+|--since=\S+|sport = \S+", command)
        fresh = [word for word in words if not word.startswith("--boot")]
        assert not [word for word in fresh if word in known or f" {word}" in known], task.request
        assert timeout == 30 or str(timeout) not in limits, task.request
        assert directory not in known, task.request
        counts = [int(number) for number in re.findall(r"-n (\d+)", command)]
        assert all(n in (1, 200) or not low <= n <= high for n in counts), task.request


def test_every_command_that_the_skill_text_shows_is_allowed() -> None:
    body = (SKILL / "SKILL.md").read_text()
    table = body.split("## Which command")[1].split("## Safety")[0]
    commands = [text for text in re.findall(r"`([a-z]+ [^`]+|ss -tlnp)`", table) if text.split()[0] in _programs()]
    assert len(commands) >= 13
    for command in commands:
        assert CONTRACT.argv(answer(command)), command
    shown = json.loads(re.findall(r"```json\n(.*?)\n```", body, re.DOTALL)[0])
    assert CONTRACT.argv(shown) == (("df", "-h", "/"), ("journalctl", "-n", "200"))


def _programs() -> set[str]:
    contract = yaml.safe_load((SKILL / "contract.yaml").read_text())
    return set(contract["tools"][0]["argv"]["allow"])


def test_the_request_of_the_house_has_its_answer() -> None:
    (seed,) = [seed for seed in SEEDS if seed.request == "Check disk pressure on node-17 and summarize the issue."]
    assert seed.expected == answer("df -h / && journalctl -n 200", 30, None)


def test_the_prompt_is_short() -> None:
    assert len(CONTRACT.prompt.split()) <= 35


@pytest.mark.parametrize(
    "command",
    [
        "journalctl --vacuum-size=1M", "journalctl --file /etc/shadow", "systemctl restart x.service", "ss -K",
        "systemctl -H other status x", "dmesg -C", "tail -n 9 /etc/shadow", "cat /etc/shadow", "du -h > /tmp/x",
        "df -h `id`", "df -h ${HOME}", "df -h /*", "df -h /\nreboot", "top -b -n 1 &",
        "./df -h", "/bin/df -h",
    ],
)  # fmt: skip
def test_what_could_change_or_reveal_something_is_refused(command: str) -> None:
    assert CONTRACT.argv(answer(command)) is None

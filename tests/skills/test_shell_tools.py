"""shell-tools: bounded_run.py keeps its promises on real programs, and the documents of the skill agree."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from skillpm.formats.document import read_json_lines, read_model
from skillpm.model.answer_kind import is_reply, label_of
from skillpm.model.suite import Suite
from skillpm.model.synthesis import Entry, SynthesisDocument
from skillpm.model.task import Seed, request_key
from tests.serving import compiled

SKILL = Path(__file__).parents[2] / "skills" / "shell-tools"
SCRIPT = SKILL / "scripts" / "bounded_run.py"
CONTRACT = compiled((SKILL / "contract.yaml").read_text())
SEEDS = [seed for _, seed in read_json_lines(Seed, (SKILL / "seeds" / "seeds.jsonl").read_text())]
SUITE = read_model(Suite, (SKILL / "suites" / "handwritten.yaml").read_text())
SYNTHESIS = read_model(SynthesisDocument, (SKILL / "synthesis.yaml").read_text())


def bounded(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run bounded_run.py; it never shows a traceback."""
    done = subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, timeout=60)
    assert b"Traceback" not in done.stderr, done.stderr
    return done


def report(*words: str | Path) -> dict[str, Any]:
    """Return the JSON report of a run."""
    document: dict[str, Any] = json.loads(bounded("--json", *words).stdout)
    return document


def alive(process: int) -> bool:
    """Is this process running? A zombie is not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def gone(process: int) -> bool:
    """Does this process end soon?"""
    for _ in range(200):
        if not alive(process):
            return True
        time.sleep(0.01)
    return False


def test_a_program_keeps_its_output_and_exit_code() -> None:
    done = bounded("--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)


def test_words_reach_the_program_as_they_are() -> None:
    words = ["a b", "$HOME", "*", "`id`", "; exit 9", "--json", ""]
    done = bounded("--", sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *words)
    assert json.loads(done.stdout) == words


def test_a_program_reads_an_empty_standard_input() -> None:
    assert bounded("--timeout", "20", "--", "cat").returncode == 0


def test_a_program_over_its_time_is_ended() -> None:
    done = bounded("--timeout", "0.3", "--", "sleep", "60")
    assert done.returncode == 124
    assert b"sleep was ended after 0.3 seconds" in done.stderr


def test_what_was_written_before_the_end_is_kept() -> None:
    found = report("--timeout", "0.5", "--", "sh", "-c", "echo early; sleep 60")
    assert (found["timed_out"], found["stdout"]["text"], found["signal"]) == (True, "early\n", signal.SIGTERM)


def test_a_program_that_ignores_term_is_killed() -> None:
    found = report("--timeout", "0.3", "--grace", "0.2", "--", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    assert (found["timed_out"], found["signal"], found["exit_code"]) == (True, signal.SIGKILL, None)


def test_children_end_with_a_program_that_took_too_long() -> None:
    found = report("--timeout", "0.5", "--", "sh", "-c", "sleep 60 & echo $!; wait")
    assert found["timed_out"] and gone(int(found["stdout"]["text"]))


def test_children_that_a_program_left_behind_are_ended_at_once() -> None:
    found = report("--timeout", "30", "--", "sh", "-c", "sleep 60 & echo $!")
    assert not found["timed_out"] and found["exit_code"] == 0
    assert gone(int(found["stdout"]["text"]))


def test_output_over_the_limit_is_thrown_away_and_the_program_goes_on() -> None:
    found = report("--max-bytes", "10", "--", sys.executable, "-c", "print('x' * 1_000_000); raise SystemExit(3)")
    assert found["stdout"] == {"text": "x" * 10, "bytes": 1_000_001, "truncated": True}
    assert found["exit_code"] == 3


def test_output_of_exactly_the_limit_is_not_called_cut() -> None:
    found = report("--max-bytes", "3", "--", "printf", "abc")
    assert found["stdout"] == {"text": "abc", "bytes": 3, "truncated": False}


def test_the_limit_holds_for_each_stream() -> None:
    done = bounded("--max-bytes", "4", "--", "sh", "-c", "echo 123456; echo 654321 >&2")
    assert done.stdout == b"1234"
    assert done.stderr.startswith(b"6543bounded_run: stdout cut at 4 of 7 bytes")


def test_bytes_that_are_no_text_do_not_spoil_the_report() -> None:
    assert report("--", "printf", r"\377\376")["stdout"]["text"] == "\ufffd\ufffd"


def test_a_signal_that_ends_the_program_is_told() -> None:
    assert bounded("--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert report("--", "sh", "-c", "kill -9 $$")["signal"] == 9


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--", "no-such-program-at-all"], 127),
        (["--", str(SKILL / "README.md")], 126),
        (["--directory", "/no/such/folder", "--", "true"], 125),
        (["--timeout", "0", "--", "true"], 125),
        (["--timeout", "nan", "--", "true"], 125),
        (["--max-bytes", "-1", "--", "true"], 125),
        (["--"], 125),
        ([], 125),
    ],
)
def test_failures_of_its_own_have_codes_of_their_own(words: list[str], code: int) -> None:
    done = bounded(*words)
    assert done.returncode == code and done.stderr.splitlines()[-1].startswith(b"bounded_run: ")


def test_a_program_starts_where_it_is_told(tmp_path: Path) -> None:
    assert Path(report("--directory", tmp_path, "--", "pwd")["stdout"]["text"].strip()).samefile(tmp_path)


def test_when_it_is_stopped_its_program_is_ended() -> None:
    words = [sys.executable, str(SCRIPT), "--timeout", "60", "--", "sh", "-c", "echo $$; sleep 60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        program = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert gone(program)


def test_a_reader_that_went_away_ends_the_program_quietly() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} {SCRIPT} --timeout 30 -- yes | head -n 1"], capture_output=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (b"y\n", b"")


def test_the_help_explains_the_exit_codes() -> None:
    done = bounded("--help")
    assert done.returncode == 0 and b"exit codes:" in done.stdout and not done.stderr


# --- the documents among each other


def test_every_expected_answer_is_one_that_the_contract_takes_and_every_call_would_run() -> None:
    for seed in [*SEEDS, *SUITE.tasks]:
        assert isinstance(seed, Seed)
        answer = CONTRACT.complete(seed.expected)
        assert is_reply(answer) or CONTRACT.argv(answer), seed.request


def test_seeds_and_suite_have_answers_of_every_kind() -> None:
    for rows in (SEEDS, SUITE.tasks):
        labels = [label_of(seed.expected) for seed in rows if isinstance(seed, Seed)]
        assert {"bounded_run", "ask bounded_run", "refuse off_topic", "refuse not_allowed", "answer"} == {*labels}


def test_no_request_of_the_suite_is_a_seed_and_none_stands_twice() -> None:
    requests = [request_key(seed.request) for seed in [*SEEDS, *SUITE.tasks] if isinstance(seed, Seed)]
    assert len(requests) == len(set(requests)) == len(SEEDS) + len(SUITE.tasks)
    assert len(SEEDS) >= 20 and len(SUITE.tasks) >= 40


def test_the_suite_uses_values_that_no_synthesis_rule_has() -> None:
    known = {
        str(item.value if isinstance(item, Entry) else item)
        for pool in SYNTHESIS.values.values()
        for item in pool.choice or ()
    }
    for task in SUITE.tasks:
        assert isinstance(task, Seed)
        if is_reply(task.expected):
            continue
        command, timeout, size = task.expected["args"].values()
        assert not [path for path in re.findall(r"/\S+", command) if path in known], task.request
        assert timeout == 30 or str(timeout) not in known, task.request
        assert str(size) not in known, task.request


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /srv", "sh -c id", "tar -xzf /srv/a.tar.gz", "tar -tzf /a --to-command=sh", "tail -f /var/log/syslog",
        "tar -tf a:x", "tar tf a:x", "tar -tfa:x", "tar -t --file=a:x", "tar -t --file a:x",
        "du -sh /srv > /tmp/x", "ls -la | cat", "grep -f /etc/shadow x", "find / -delete", "head -n 5 $(id)",
    ],
)  # fmt: skip
def test_what_could_write_or_never_end_is_refused(command: str) -> None:
    answer = {"tool": "bounded_run", "args": {"command": command, "timeout_seconds": 30, "max_bytes": None}}
    assert CONTRACT.argv(answer) is None


def test_the_example_of_the_skill_text_is_an_answer() -> None:
    body = (SKILL / "SKILL.md").read_text()
    shown = json.loads(re.findall(r"```json\n(.*?)\n```", body, re.DOTALL)[0])
    assert CONTRACT.argv(shown) == (("du", "-sh", "/var/log"),)

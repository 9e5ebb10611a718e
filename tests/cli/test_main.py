"""The entry: what is asked for wrongly is told as what it is, to people and to programs."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [(), ("cache",), ("trust",), ("registry",), ("model",)], ids=" ".join)
def test_a_group_alone_prints_its_help_and_no_error(project, words) -> None:
    outcome = project().call(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: skillpm")
    assert "error:" not in outcome.err


@pytest.mark.parametrize("words", [("instal",), ("rescore", "nowhere"), ("list", "--nothing")], ids=" ".join)
def test_a_wrong_command_line_is_one_json_document_too(project, words) -> None:
    outcome = project().call(*words, "--json")
    assert outcome.code == 2
    told = json.loads(outcome.out)
    assert (told["error"], told["exit_code"]) == ("usage", 2)
    assert told["message"] in outcome.err and told["hint"] in outcome.err


def test_a_narrow_terminal_folds_what_is_long_and_hides_nothing(project) -> None:
    place = project()
    master, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "skillpm", "config"]
    process = subprocess.Popen(command, cwd=place.root, stdout=slave, stderr=subprocess.DEVNULL, env=environment)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is closed: all is read
        while read := os.read(master, 65536):
            shown += read
    os.close(master)
    assert process.wait() == 0
    assert "…" not in shown.decode()


def test_a_folder_that_bears_the_name_is_pointed_at(project) -> None:
    place = project({"mine": {"SKILL.md": "---\nname: mine\ndescription: Shows. Use when testing.\n---\nDo it.\n"}})
    place.call("selftest", "mine").fails(2, "no skill `mine` is installed", "`./mine` means the folder here")


def test_no_skill_here_says_where(project) -> None:
    place = project({"bare": {"README.md": "x"}})
    place.call("version", "bare").fails(1, f"no SKILL.md in {place.root / 'bare'}")
    place.call("selftest", "./bare").fails(1, f"no SKILL.md in {place.root / 'bare'}")


def test_no_consent_is_no_empty_table(project) -> None:
    outcome = project().call("trust", "list").ok()
    assert (outcome.out, "no consent is given yet" in outcome.err) == ("", True)

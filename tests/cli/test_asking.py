"""What a person reads before a command runs, and which of their keys count as an answer."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import sys
from pathlib import Path

import pytest

from skillpm.agent.approval import Question
from skillpm.agent.place import Place
from skillpm.agent.proposal import read_proposal
from skillpm.cli.asking import _forget_typed, ask
from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from skillpm.model.manifest import Permissions
from skillpm.sandbox.sandbox import choose
from tests.agent.conftest import CONTRACT


def shown(path: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Return all that the question about ``touch PATH`` prints; the person answers no."""
    contract = Contract(read_model(ContractDocument, CONTRACT))
    proposal = read_proposal(contract, json.dumps({"tool": "touch", "args": {"path": path}}))
    assert not proposal.problems
    place = Place(folder, True, Permissions(run=("touch",)), choose())
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert ask(Question(proposal, place, lambda text: proposal, False, False)).word == "no"
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("a b", ["runs touch 'a b'\n"]),
        ("x" * 3000, [f"runs touch {'x' * 3000}\n", "The command has 3,006 characters: check its beginning, too."]),
        (f"safe{' ' * 900}; rm", [f"runs touch 'safe{' ' * 900}; rm'\n", "The command has 916 characters"]),
        ("$(rm -rf ~)", ["runs touch '$(rm -rf ~)'\n"]),
        ("a\u3164b\u2800c\U000e0101", ["runs touch 'a\\u3164b\\u2800c\\U000e0101'\n"]),
        ("p\u0430ypal", ["`p\u0430ypal` mixes alphabets that look alike: CYRILLIC, LATIN."]),
        ("\uff50wd", ["mixes alphabets that look alike: FULLWIDTH, LATIN."]),
    ],
)
def test_nothing_that_would_run_is_hidden(
    path: str, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = shown(path, tmp_path, monkeypatch, capsys)
    assert all(text in printed for text in texts), printed
    assert max(map(len, printed.split("runs ")[0].splitlines())) <= 100


@pytest.mark.parametrize("path", ["übung", "日本.txt", "отчёт", "naïve-Ω5"])
def test_a_name_in_another_language_is_no_warning(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ("alike" in shown(path, tmp_path, monkeypatch, capsys)) is (path == "naïve-Ω5")


def test_an_answer_that_was_typed_before_the_question_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool can print a question like ours, and a person may have answered that one."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", terminal)
        keyboard.write(b"y\n")
        assert select.select([terminal], [], [], 5)[0]
        _forget_typed()
        assert not select.select([terminal], [], [], 0)[0]

"""A skill with two tools, a scripted model, and everything between a request and a run as it really is."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.agent.approval import Approval, Ask, Decision, Question, Rule
from skillpm.agent.audit import AuditLog
from skillpm.agent.episode import Surroundings
from skillpm.agent.place import Place
from skillpm.agent.trace import Traces
from skillpm.contract.contract import Contract
from skillpm.formats.document import read_model
from skillpm.model.calibration import SkillCalibration, Threshold
from skillpm.model.contract import ContractDocument
from skillpm.model.manifest import Permissions
from skillpm.model.ports import Completion
from skillpm.model.skill import Skill
from skillpm.model.task import Message
from skillpm.sandbox.sandbox import choose
from tests.conftest import Project

CONTRACT = """\
contract: 1
system_prompt: Answer with one JSON object.
tools:
  - name: show
    description: Print a file.
    input_schema:
      type: object
      properties:
        path: {type: string, description: The file to print.}
        timeout_seconds: {type: integer}
      required: [path]
      additionalProperties: false
    argv: [cat, {value: path}]
    read_only: true
  - name: peek
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    argv: [cat, {value: path}]
    read_only: true
    confirm: never
  - name: touch
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    argv: [touch, {value: path}]
    confirm: never
"""

CALIBRATION = SkillCalibration(
    tree="0" * 64,
    answers=200,
    act=Threshold(confidence=0.9, answers=100, right=99, bound=0.95),
    refuse=Threshold(confidence=0.4, answers=30, right=3, bound=0.3),
)


def call(tool: str, path: str, **more: Any) -> str:
    """Return an answer that calls a tool."""
    nothing = {"timeout_seconds": None} if tool == "show" else {}
    return json.dumps({"tool": tool, "args": {"path": path, **nothing, **more}})


@contextlib.contextmanager
def listening(place: Project, *words: str, says: str) -> Iterator[int]:
    """Yield the port of a command that listens; from the line that says so on, a client may connect."""
    with started(place, *words, says=says) as (_, port):
        yield port


@contextlib.contextmanager
def started(place: Project, *words: str, says: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield the process of a command that listens, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, environment = [sys.executable, "-m", "skillpm", *words, "--port", str(port)], dict(place.environment)
    with subprocess.Popen(command, cwd=place.root, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if says in line:
                break
        else:
            raise AssertionError("".join(heard))
        try:
            yield process, port
        finally:
            process.terminate()


class Script:
    """A policy that answers in turn, whatever it is asked; ``prompts`` holds what it read."""

    name = "script"

    def __init__(self, *answers: str, confidence: float | None = None) -> None:
        self._answers = list(answers)
        self._confidence = confidence
        self.prompts: list[Sequence[Message]] = []

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        self.prompts += [tuple(prompt) for prompt in prompts]
        yield 0, Completion(self._answers.pop(0), 1, 1, "stop", confidence=self._confidence)


class Person:
    """Answers questions in turn, and keeps them."""

    def __init__(self, *words: str) -> None:
        self._words = list(words)
        self.asked: list[Question] = []

    def __call__(self, question: Question) -> Decision:
        self.asked.append(question)
        word = self._words.pop(0)
        if word == "^C":
            raise KeyboardInterrupt
        if word.startswith("{"):
            return Decision("edit", question.read(word))
        return Decision(word, question.proposal)  # type: ignore[arg-type]


MakeAround = Callable[..., Surroundings]


@pytest.fixture
def around(tmp_path: Path) -> MakeAround:
    """``around(script, ask, rules=…, **more)``: what an episode needs, in an empty folder ``tmp_path/work``."""
    (tmp_path / "work").mkdir()
    contract = Contract(read_model(ContractDocument, CONTRACT))

    def make(script: Script, ask: Ask | None = None, rules: Sequence[Rule] = (), **more: Any) -> Surroundings:
        plain = Surroundings(
            skill=Skill("demo", "1.0", "0" * 64, tmp_path),
            contract=contract,
            policy=script,
            model="script",
            adapter=None,
            place=Place(tmp_path / "work", False, Permissions(run=("cat", "touch")), choose()),
            approval=Approval("demo", rules, ask),
            audit=AuditLog(tmp_path / "audit.jsonl"),
            traces=Traces(tmp_path / "traces"),
        )
        return replace(plain, **more)

    return make

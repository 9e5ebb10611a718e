"""A project with a skill whose answers a model half knows; only the model is scripted."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import pytest

from skillpm.model.ports import Completion
from skillpm.model.task import Message
from tests.conftest import Outcome, Project
from tests.shop import MakeProject

CONTRACT = """\
contract: 1
tools:
  - name: dev
    input_schema: {type: object, properties: {port: {type: integer}}, required: [port], additionalProperties: false}
    argv: [server, {flag: --port, value: port}]
"""


class BriefPolicy:
    """Answers what its table says, at the price of one token in and one out."""

    name = "brief"

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        for index, prompt in enumerate(prompts):
            yield index, Completion(self._answers.get(prompt[-1].content, "no"), 1, 1, "stop")


class Evaluate:
    """``evaluate(*words)`` runs ``skillpm eval`` in a project, with a model that knows some answers."""

    def __init__(self, place: Project, known: dict[str, str], name: str = "eval") -> None:
        self.root = place.root
        self.known = known
        self._place = place
        self._name = name

    @property
    def answer(self) -> Evaluate:
        """``evaluate.answer(*words)`` runs ``skillpm answer`` there."""
        return Evaluate(self._place, self.known, "answer")

    def __call__(self, *words: str) -> Outcome:
        heavy = types.ModuleType("skillpm.train.hf.policy")
        heavy.TransformersPolicy = lambda *_, **__: BriefPolicy(self.known)  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {heavy.__name__: heavy}):
            return self._place.call(self._name, *words)


@pytest.fixture
def evaluate(project: MakeProject) -> Evaluate:
    """A project with a skill `server` whose odd ports the model knows."""
    tasks: list[dict[str, Any]] = [
        {"request": f"use {port}", "expected": {"tool": "dev", "args": {"port": port}}} for port in range(20)
    ]
    suite = {"name": "ports", "tasks": tasks, "gate": {"at_least": 0.6}}
    known = {task["request"]: json.dumps(task["expected"]) for task in tasks[1::2]}
    made = project(
        {
            "model/config.json": "{}",
            "skills/server/SKILL.md": "---\nname: server\ndescription: Starts servers. For servers.\n---\nPorts.\n",
            "skills/server/contract.yaml": CONTRACT,
            "skills/server/suites/ports.yaml": json.dumps(suite),
            "skills/other/SKILL.md": "---\nname: other\ndescription: Does other things. For others.\n---\nOther.\n",
            "rows.jsonl": '{"id": "a", "request": "use 3", "expected": {"tool": "dev", "args": {"port": 3}}}\n',
            "unfinished/recipe.yaml": "",
        }
    )

    return Evaluate(made, known)

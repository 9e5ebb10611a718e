"""A contract at work: one object from which parser, verifier, argv, sampler and prompt are had."""

from __future__ import annotations

import json
import random
from typing import Any

from skillpm.contract.answer import Answer, read_answer
from skillpm.contract.argv import build_argv
from skillpm.contract.judge import Gold, judge_answer
from skillpm.contract.prompt import render_prompt
from skillpm.contract.sampler import sample_arguments
from skillpm.contract.schema import ToolSchema
from skillpm.errors import DocumentError
from skillpm.model.contract import ContractDocument, Tool
from skillpm.model.verdict import Verdict

__all__ = ["Contract"]

SAMPLE_TRIES = 64


class Contract:
    """contract.yaml, compiled.

    Attributes:
        tools: the tools by name, in the author's order.
        prompt: the rendered system prompt.

    Raises:
        DocumentError: a schema or the prompt's template is wrong.
    """

    def __init__(self, document: ContractDocument) -> None:
        self.tools: dict[str, Tool] = {tool.name: tool for tool in document.tools}
        self.prompt = render_prompt(document.system_prompt, document.tools)
        self._schemas = {tool.name: ToolSchema(tool) for tool in document.tools}
        self._empty_defaults = {name: dict.fromkeys(tool.properties) for name, tool in self.tools.items()}

    @classmethod
    def of(cls, document: ContractDocument) -> Contract:
        """Compile a document."""
        return cls(document)

    def read(self, completion: str) -> Answer:
        """Read a completion; never raises."""
        return read_answer(completion)

    def problems(self, value: Any) -> list[str]:
        """Return why an executor would refuse this answer object; empty where it would run it."""
        if not isinstance(value, dict) or value.keys() != {"tool", "args"}:
            return ["an answer has the keys `tool` and `args`, and no others"]
        name, arguments = value["tool"], value["args"]
        if not isinstance(name, str) or name not in self._schemas:
            return [f"unknown tool {str(name)[:80]!r}"]
        if not isinstance(arguments, dict):
            return ["`args` must be an object"]
        return self._schemas[name].problems(arguments)

    def complete(self, expected: Any) -> dict[str, Any]:
        """Return an expected answer with every argument present, in the order of the schema.

        Raises:
            DocumentError: it breaks the contract.
        """
        if not isinstance(expected, dict) or not isinstance(expected.get("args", {}), dict):
            raise DocumentError("an expected answer is an object with `tool` and `args`")
        defaults = self._empty_defaults.get(str(expected.get("tool")), {})
        completed = {**expected, "args": {**defaults, **expected.get("args", {})}}
        problems = self.problems(completed)
        if problems:
            raise DocumentError(f"the expected answer breaks the contract: {'; '.join(problems)}")
        return completed

    def gold(self, expected: Any) -> Gold:
        """Return an expected answer ready to be judged against. Raises DocumentError as ``complete`` does."""
        completed = self.complete(expected)
        arguments = completed["args"]
        asked = sum(1 for value in arguments.values() if value is not None)
        return Gold(self.tools[completed["tool"]], arguments, asked)

    def judge(self, expected: Any, completion: str) -> Verdict:
        """Judge a completion; an expected answer that breaks the contract gives an errored verdict."""
        try:
            gold = self.gold(expected)
        except DocumentError as error:
            return Verdict.errored(error.rule)
        return self.judge_gold(gold, completion)

    def judge_gold(self, gold: Gold, completion: str) -> Verdict:
        """Judge a completion against an expected answer that is ready; the hot path."""
        answer = read_answer(completion)
        return judge_answer(gold, answer, [] if answer.value is None else self.problems(answer.value))

    def argv(self, value: Any) -> tuple[tuple[str, ...], ...] | None:
        """Return the commands that an executor would run, or None where it would refuse or has nothing to run."""
        if self.problems(value):
            return None
        tool = self.tools[value["tool"]]
        return None if tool.argv is None else build_argv(tool, value["args"])

    def argv_of(self, completion: str) -> tuple[tuple[str, ...], ...] | None:
        """Return the commands of a completion; None unless it is one JSON object and nothing else."""
        answer = read_answer(completion)
        return self.argv(answer.value) if answer.only_json else None

    def confirm(self, value: dict[str, Any]) -> bool:
        """Must a person agree before this answer is run?"""
        return self.tools[value["tool"]].confirm == "always"

    def render(self, expected: Any) -> str:
        """Return the one text of an expected answer, which a model is trained to write."""
        completed = self.complete(expected)
        return json.dumps({"tool": completed["tool"], "args": completed["args"]}, ensure_ascii=False)

    def sample(self, tool: str, chance: random.Random) -> dict[str, Any]:
        """Return a valid answer of a tool.

        Raises:
            DocumentError: the schema gives no way to make one.
        """
        for _ in range(SAMPLE_TRIES):
            value = {"tool": tool, "args": sample_arguments(self.tools[tool], chance)}
            if not self.problems(value):
                return value
        raise DocumentError(f"tool `{tool}`: no valid answer found by chance", hint="give its arguments `examples`")

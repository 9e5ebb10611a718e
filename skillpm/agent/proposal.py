"""An answer of a model as a person can judge it: the commands that it stands for, and what each argument means."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from skillpm.contract.answer import read_answer
from skillpm.contract.contract import Contract
from skillpm.model.contract import Tool

REPORT = "report"  # the only key of an answer that ends an episode of several steps
_MOST_REPORT = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Meaning:
    """One argument that an answer gives: its value, and the contract's description of it."""

    argument: str
    value: Any
    description: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a model would run.

    Attributes:
        answer: the text of the model, whole.
        tool: that the answer calls; None where it calls none.
        arguments: of the tool, as they were written.
        argv: the commands as they would run, or None where they would be refused.
        problems: why they would be refused; empty where they would run.
        accepted: does the contract accept the call? One without a command line has problems all the same.
        report: the last word of an episode of several steps, which calls no tool; else None.
        reply: a question, a refusal or a text that the contract takes in place of a call; else None.
    """

    answer: str
    tool: Tool | None
    arguments: Any
    argv: tuple[tuple[str, ...], ...] | None
    problems: tuple[str, ...]
    report: str | None = None
    accepted: bool = False
    reply: dict[str, Any] | None = None

    @property
    def lines(self) -> list[str]:
        """The commands, each as a line that a shell would read as exactly these words."""
        return [shlex.join(words) for words in self.argv or ()]

    @property
    def meanings(self) -> list[Meaning]:
        """The arguments that are not null, in the author's order."""
        if self.tool is None or not isinstance(self.arguments, dict):
            return []
        properties = self.tool.properties
        return [
            Meaning(name, self.arguments[name], " ".join(str(schema.get("description", "")).split()))
            for name, schema in properties.items()
            if self.arguments.get(name) is not None
        ]


def read_proposal(contract: Contract, text: str, *, cut: bool = False, may_report: bool = False) -> Proposal:
    """Read an answer strictly: one object that the contract accepts, and nothing else.

    Args:
        contract: of the skill.
        text: of the model.
        cut: was the answer cut off at the limit of tokens?
        may_report: may it be ``{"report": TEXT}`` instead?
    """
    answer = read_answer(text)
    value = answer.value or {}
    if may_report and answer.only_json and value.keys() == {REPORT} and isinstance(value[REPORT], str):
        return Proposal(text, None, None, None, (), report=value[REPORT][:_MOST_REPORT])
    name = value.get("tool")
    tool = contract.tools.get(name) if isinstance(name, str) else None
    argv = contract.argv_of(text)
    refused = [answer.reason] if not answer.only_json else contract.problems(answer.value)
    kind = None if refused else contract.replies.kind(value)
    if kind is not None:
        return Proposal(text, None, None, None, (), accepted=True, reply=contract.replies.complete(kind, value))
    accepted = not refused
    if refused:
        refused += ["it was cut off at the token limit"] if cut else []
    elif not argv:
        refused = ["the tool has no command line"]
    return Proposal(text, tool, value.get("args"), argv, tuple(refused), accepted=accepted)

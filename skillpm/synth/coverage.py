"""Coverage: how often rows show each tool with each argument given, null, or one member of its enum.

Where a contract takes answers that call nothing, a required argument has the class ``asked`` too, and refusals and
texts stand under the tool ``""``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skillpm.model.answer_kind import REASONS, AnswerKind, kind_of
from skillpm.model.contract import Tool
from skillpm.model.task import canonical_json

Coverage = dict[str, dict[str, dict[str, int]]]  # tool -> argument -> class -> rows
_NO_TOOL, _ASKED = "", "asked"


def argument_classes(required: bool, schema: Mapping[str, Any]) -> list[str]:
    """Return the classes of an argument's values: ``null`` where it may be, and each enum member, else ``value``."""
    named = schema.get("enum")
    given = [canonical_json(item) for item in named if item is not None] if isinstance(named, list) else ["value"]
    return given if required else ["null", *given]


def class_of(value: Any, schema: Mapping[str, Any]) -> str:
    """Return the class of an argument's value."""
    if value is None:
        return "null"
    return canonical_json(value) if isinstance(schema.get("enum"), list) else "value"


class CoverageCounter:
    """Counts the classes of expected answers; every class of every tool is there, with 0 where no row has it.

    Attributes:
        coverage: what was counted.
    """

    def __init__(self, tools: Sequence[Tool], kinds: Sequence[AnswerKind] = ("call",)) -> None:
        self.coverage: Coverage = {
            tool.name: {
                name: dict.fromkeys(argument_classes(name in tool.required, schema), 0)
                for name, schema in tool.properties.items()
            }
            for tool in tools
        }
        for tool in tools if "ask" in kinds else ():
            for name in tool.required:
                self.coverage[tool.name][name][_ASKED] = 0
        if "refuse" in kinds:
            self.coverage.setdefault(_NO_TOOL, {})["refuse"] = dict.fromkeys(REASONS, 0)
        if "answer" in kinds:
            self.coverage.setdefault(_NO_TOOL, {})["answer"] = {"value": 0}
        self._arguments = {
            tool.name: [
                (name, isinstance(schema.get("enum"), list), self.coverage[tool.name][name])
                for name, schema in tool.properties.items()
            ]
            for tool in tools
        }
        self._kinds = kinds

    def add(self, answer: Any, by: int = 1) -> None:
        """Count an answer once, or ``by`` times."""
        arguments = answer.get("args") if isinstance(answer, dict) else None
        if isinstance(arguments, dict):  # without a contract the answer may be anything
            for name, is_enum, counts in self._arguments.get(str(answer.get("tool")), ()):
                value = arguments.get(name)
                kind = "null" if value is None else canonical_json(value) if is_enum else "value"
                counts[kind] = counts.get(kind, 0) + by
            return
        form = kind_of(answer)
        if form is None or form == "call" or form not in self._kinds:
            return
        if form == "ask":
            shown = [(self.coverage[answer["tool"]][name], _ASKED) for name in answer["ask"]]
        else:
            shown = [(self.coverage[_NO_TOOL][form], answer["refuse"] if form == "refuse" else "value")]
        for counts, kind in shown:
            counts[kind] = counts.get(kind, 0) + by


def described(tool: str, argument: str, kind: str) -> str:
    """Return a class in words."""
    if not tool:
        return "a text as the answer" if argument == "answer" else f"a refusal with the reason `{kind}`"
    if kind == _ASKED:
        return f"a question for `{argument}` of `{tool}`"
    return f"`{tool}` with `{argument}` {'given' if kind == 'value' else kind}"

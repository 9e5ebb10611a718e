"""Coverage: how often rows show each tool with each argument given, null, or one member of its enum.

Where a contract takes answers that call nothing, a required argument has the class ``asked`` too, and refusals and
texts stand under the tool ``""``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def measure_coverage(
    answers: Iterable[Any], tools: Sequence[Tool], kinds: Sequence[AnswerKind] = ("call",)
) -> Coverage:
    """Count the classes of expected answers; every class of every tool is there, with 0 where no row has it."""
    coverage: Coverage = {
        tool.name: {
            name: dict.fromkeys(argument_classes(name in tool.required, schema), 0)
            for name, schema in tool.properties.items()
        }
        for tool in tools
    }
    for tool in tools if "ask" in kinds else ():
        for name in tool.required:
            coverage[tool.name][name][_ASKED] = 0
    if "refuse" in kinds:
        coverage.setdefault(_NO_TOOL, {})["refuse"] = dict.fromkeys(REASONS, 0)
    if "answer" in kinds:
        coverage.setdefault(_NO_TOOL, {})["answer"] = {"value": 0}
    schemas = {tool.name: tool.properties for tool in tools}
    for answer in answers:
        form = kind_of(answer)
        if form != "call" and form in kinds:
            _count_reply(coverage, answer)
            continue
        if not isinstance(answer, dict) or not isinstance(answer.get("args"), dict):
            continue  # a skill without a contract may expect anything
        called = str(answer.get("tool"))
        for name, counts in coverage.get(called, {}).items():
            kind = class_of(answer["args"].get(name), schemas[called][name])
            counts[kind] = counts.get(kind, 0) + 1
    return coverage


def _count_reply(coverage: Coverage, answer: Mapping[str, Any]) -> None:
    """Count an answer that calls nothing."""
    if "refuse" in answer:
        coverage[_NO_TOOL]["refuse"][answer["refuse"]] += 1
    elif "answer" in answer:
        coverage[_NO_TOOL]["answer"]["value"] += 1
    else:
        for name in answer["ask"]:
            counts = coverage[answer["tool"]][name]
            counts[_ASKED] = counts.get(_ASKED, 0) + 1


def described(tool: str, argument: str, kind: str) -> str:
    """Return a class in words."""
    if not tool:
        return "a text as the answer" if argument == "answer" else f"a refusal with the reason `{kind}`"
    if kind == _ASKED:
        return f"a question for `{argument}` of `{tool}`"
    return f"`{tool}` with `{argument}` {'given' if kind == 'value' else kind}"

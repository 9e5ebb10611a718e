"""Coverage: how often rows show each tool with each argument given, null, or one member of its enum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skillpm.model.contract import Tool
from skillpm.model.task import canonical_json

Coverage = dict[str, dict[str, dict[str, int]]]  # tool -> argument -> class -> rows


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


def measure_coverage(answers: Iterable[Any], tools: Sequence[Tool]) -> Coverage:
    """Count the classes of expected answers; every class of every tool is there, with 0 where no row has it."""
    coverage: Coverage = {
        tool.name: {
            name: dict.fromkeys(argument_classes(name in tool.required, schema), 0)
            for name, schema in tool.properties.items()
        }
        for tool in tools
    }
    schemas = {tool.name: tool.properties for tool in tools}
    for answer in answers:
        if not isinstance(answer, dict) or not isinstance(answer.get("args"), dict):
            continue  # a skill without a contract may expect anything
        tool = str(answer.get("tool"))
        for name, counts in coverage.get(tool, {}).items():
            kind = class_of(answer["args"].get(name), schemas[tool][name])
            counts[kind] = counts.get(kind, 0) + 1
    return coverage


def described(tool: str, argument: str, kind: str) -> str:
    """Return a class in words."""
    return f"`{tool}` with `{argument}` {'given' if kind == 'value' else kind}"

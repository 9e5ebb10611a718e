"""What an answer object must look like: the tool's own JSON Schema, with null standing for an argument left out.

Every property must be present. Nulls of optional arguments are dropped, and the rest is validated against the author's
input_schema (JSON Schema 2020-12) by a linear-time engine that resolves nothing from outside. In one point the check is
stricter than JSON Schema: 8123.0 is no integer.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from skillpm.contract.argv import Argv, build_argv
from skillpm.contract.command import CommandError
from skillpm.errors import DocumentError
from skillpm.model.contract import Tool

MAX_PROBLEMS = 8


class ToolSchema:
    """The compiled schema of one tool's arguments.

    Raises:
        DocumentError: the schema is not valid JSON Schema, or a pattern needs look-around or back-references.
    """

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._names = frozenset(tool.properties)
        self._optional = self._names - tool.required
        schema = {**tool.input_schema, "additionalProperties": False}
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = _plain_reason(schema) or str(error).splitlines()[0]
            raise DocumentError(f"tool `{tool.name}`: input_schema: {reason}") from None

    def examine(self, arguments: dict[str, Any]) -> tuple[list[str], Argv | None]:
        """Return what is wrong with these arguments, and, where nothing is, the commands that they stand for."""
        problems = self._problems(arguments)
        if problems or self.tool.argv is None:
            return problems, None
        try:
            return [], build_argv(self.tool, arguments)
        except CommandError as error:
            return [str(error)], None

    def _problems(self, arguments: dict[str, Any]) -> list[str]:
        if arguments.keys() != self._names:
            return self._wrong_names(arguments)
        present = {k: v for k, v in arguments.items() if v is not None or k not in self._optional}
        if not self._validator.is_valid(present):
            return [self._sentence(error) for error in self._validator.iter_errors(present)][:MAX_PROBLEMS]
        for name, value in present.items():
            if type(value) in (float, dict, list) and _float_for_integer(self.tool.properties[name], value):
                return [f"`{name}`: a number with a fraction where an integer belongs"]
        return []

    def _wrong_names(self, arguments: dict[str, Any]) -> list[str]:
        missing = [f"argument `{name}` is missing" for name in self.tool.properties if name not in arguments]
        surplus = [f"argument `{name[:80]}` is unknown" for name in arguments if name not in self._names]
        return [*missing, *surplus][:MAX_PROBLEMS]

    def _sentence(self, error: Any) -> str:
        place = ".".join(str(step) for step in error.instance_path)
        return f"`{place}`: {error.message[:300]}" if place else str(error.message[:300])


def _plain_reason(schema: dict[str, Any]) -> str | None:
    """Return what the meta-schema has against a schema, in words and with its place; None where it has nothing."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    worst = best_match(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))
    return None if worst is None else f"{worst.json_path.removeprefix('$.')}: {worst.message[:300]}"


def _float_for_integer(schema: Any, value: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if isinstance(value, float):
        declared = schema.get("type", ())
        types = {declared} if isinstance(declared, str) else set(declared)
        return "integer" in types and "number" not in types
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return any(_float_for_integer(properties.get(name), item) for name, item in value.items())
    if isinstance(value, list):
        return any(_float_for_integer(schema.get("items"), item) for item in value)
    return False

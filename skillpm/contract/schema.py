"""Checks an answer object against the tool's own JSON Schema, in which null stands for an argument left out.

Every property must be present. Nulls of optional arguments are dropped, in objects inside arguments too. The rest is
validated against the author's input_schema (JSON Schema 2020-12) by a linear-time engine that resolves no reference
outside the schema. In one point the check is stricter than JSON Schema: 8123.0 is not an integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jsonschema_rs

from skillpm.contract.argv import fill_argv, fills_by_argument
from skillpm.contract.command import Argv, CommandLineReader
from skillpm.contract.equality import Equality
from skillpm.contract.grammar import CommandError
from skillpm.contract.shape import Shape, same_value
from skillpm.contract.validator import compiled
from skillpm.errors import DocumentError
from skillpm.model.contract import CommandLine, Tool
from skillpm.model.schema_effort import Effort, refuse_exponential

MAX_PROBLEMS = 8
_MAX_EFFORT = 10_000_000  # looks at a part of a schema, for one answer: some seconds
_MAX_EXPLAINED = 10_000  # of them where each look may leave an error to explain
_BY_ARGUMENT = frozenset(
    {"type", "properties", "required", "additionalProperties", "$defs", "definitions"}
    | {"$schema", "$comment", "title", "description", "examples", "default"}
)  # keywords of a schema whose arguments are judged one by one
_PLAIN = frozenset({str, int, bool, type(None)})  # has no inner objects, and cannot be or hold 8123.0


class SchemaError(DocumentError):
    """The input_schema of a tool is not valid JSON Schema; ``place`` has the steps in it to the fault."""

    def __init__(self, tool: str, place: Sequence[str | int], reason: str) -> None:
        super().__init__(
            ": ".join([f"tool `{tool}`: input_schema", *[".".join(map(str, place))] * bool(place), reason])
        )
        self.place = tuple(place)


class ToolSchema:
    """The compiled schema of one tool's arguments.

    Attributes:
        equality: when two values of an argument are the same.

    Raises:
        SchemaError: the schema is not valid JSON Schema, or a pattern needs look-around or back-references.
    """

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._properties = tool.properties
        self._names = frozenset(tool.properties)
        self._optional = self._names - tool.required
        schema = {**tool.input_schema, "additionalProperties": False}
        self._shape = Shape(tool.input_schema)
        self.equality = Equality(tool.compare)
        self._effort = Effort(tool.input_schema) if refuse_exponential(tool.input_schema) else None
        self._others = self._names - tool.argv_arguments
        self._line = CommandLineReader(tool.argv) if isinstance(tool.argv, CommandLine) else None
        try:
            self._validator = compiled(schema)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise SchemaError(tool.name, getattr(error, "instance_path", ()), str(error).splitlines()[0]) from None

    def examine(self, arguments: dict[str, Any]) -> tuple[list[str], Argv | None]:
        """Return why these arguments are refused, or else the commands that they stand for."""
        problems = self._problems(arguments)
        if problems or self.tool.argv is None:
            return problems, None
        try:
            if not isinstance(self.tool.argv, CommandLine):
                return [], fill_argv(self.tool.argv, arguments)
            assert self._line is not None
            line = arguments[self.tool.argv.command_line]
            return [], self._line.argv(line) if line is not None else ()
        except CommandError as error:
            return [str(error)], None

    @cached_property
    def _without_rules(self) -> Any:
        """Validates each argument by itself: none is required, and no rule ties one to another."""
        kept = ("properties", "$defs", "definitions")
        schema = {key: item for key, item in self.tool.input_schema.items() if key in kept}
        try:
            return compiled(schema)
        except (jsonschema_rs.ReferencingError, ValueError):  # a reference to something else
            return jsonschema_rs.Draft202012Validator(True)

    @cached_property
    def is_by_argument(self) -> bool:
        """Is each argument judged by itself, whatever the others are?"""
        if self._effort is not None or not self.tool.input_schema.keys() <= _BY_ARGUMENT:
            return False
        argv = self.tool.argv
        return argv is None or isinstance(argv, CommandLine) or fills_by_argument(argv)

    def may_take(self, name: str, value: str | int) -> bool:
        """Can an answer with this value of an argument be valid, whatever the others are?"""
        return bool(self._without_rules.is_valid({name: value}))

    def complete(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return arguments with null for every absent optional property, in objects inside arguments too."""
        if _PLAIN.issuperset(map(type, arguments.values())):
            return arguments
        return {name: self._shape.completed(value, self._properties.get(name)) for name, value in arguments.items()}

    def same_commands(
        self, left: tuple[dict[str, Any], Argv | None], right: tuple[dict[str, Any], Argv | None]
    ) -> bool:
        """Do two valid answers run the same commands, with equal arguments outside the commands?

        Args:
            left: complete arguments and their commands.
            right: the same of the other answer.
        """
        (left_arguments, left_argv), (right_arguments, right_argv) = left, right
        if left_argv is None or right_argv is None:
            return False
        if self.equality:  # two paths may be one file, and make other words of the command
            right_arguments = self.equality.aligned(left_arguments, right_arguments)
            right_argv = self.examine(right_arguments)[1]
        if right_argv is None or (left_argv != right_argv and self._line is None):
            return False
        if not all(same_value(left_arguments[name], right_arguments[name]) for name in self._others):
            return False
        return self._line is None or self._line.normal(left_argv) == self._line.normal(right_argv)

    def _problems(self, arguments: dict[str, Any]) -> list[str]:
        if arguments.keys() != self._names:
            return self._wrong_names(arguments)
        present = {name: value for name, value in arguments.items() if value is not None or name not in self._optional}
        is_plain = _PLAIN.issuperset(map(type, present.values()))
        if not is_plain:
            present = {name: self._shape.stripped(value, self._properties[name]) for name, value in present.items()}
        effort = 0 if self._effort is None else self._effort.of(present, _MAX_EFFORT)
        if effort > _MAX_EFFORT:
            return ["the arguments are nested too deeply for the schema of the tool"]
        if not self._validator.is_valid(present):
            if effort > _MAX_EXPLAINED:
                return ["the arguments do not match the schema of the tool"]
            return [self._sentence(error) for error in self._validator.iter_errors(present)][:MAX_PROBLEMS]
        if not is_plain:
            place = self._shape.fraction_for_integer(present, self._validator.is_valid)
            if place is not None:
                return [f"`{'.'.join(map(str, place))}`: an integer is expected, without a fraction"]
        return []

    def _wrong_names(self, arguments: dict[str, Any]) -> list[str]:
        missing = [f"argument `{name}` is missing" for name in self._properties if name not in arguments]
        surplus = [f"argument `{name[:80]}` is unknown" for name in arguments if name not in self._names]
        return [*missing, *surplus][:MAX_PROBLEMS]

    def _sentence(self, error: Any) -> str:
        place = ".".join(str(step) for step in error.instance_path)
        return f"`{place}`: {error.message[:300]}" if place else str(error.message[:300])

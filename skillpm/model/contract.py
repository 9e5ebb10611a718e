"""contract.yaml: the tools that a correct answer may call. Behaviour lives in ``skillpm.contract``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from skillpm.formats.document import Document, Json

ToolName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
_REFERENCES = ("$ref", "$dynamicRef")


class ArgvPart(Document):
    """One conditional piece of an argv: a flag, a positional value, or a flag with its value.

    ``value`` names an argument; the piece is left out while that argument is null. ``if`` names a boolean argument.
    """

    flag: str | None = None
    value: str | None = None
    condition: str | None = Field(default=None, alias="if")

    @model_validator(mode="after")
    def _says_something(self) -> ArgvPart:
        if self.value is None and (self.flag is None or self.condition is None):
            raise ValueError("needs `value`, or `flag` with `if`")
        return self

    def arguments(self) -> set[str]:
        """Return the arguments that this piece reads."""
        return {name for name in (self.value, self.condition) if name is not None}


class Program(Document):
    """How one program of a command line may be called.

    Attributes:
        options: options without a value, as written: ``-h``, ``--no-pager``.
        values: options that take a value; ``-n 200``, ``-n200``, ``--lines 200`` and ``--lines=200`` are all read.
        subcommands: what the first operand must be, where given.
        operands: how many operands may follow (after the subcommand).
    """

    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    subcommands: tuple[str, ...] = ()
    operands: Annotated[int, Field(ge=0, le=64)] = 0


class CommandLine(Document):
    """The argument that holds a command line, and the programs that it may run, joined by ``&&`` only."""

    command_line: str
    allow: dict[str, Program]

    @field_validator("allow")
    @classmethod
    def _allows_something(cls, value: dict[str, Program]) -> dict[str, Program]:
        if not value:
            raise ValueError("allow at least one program")
        return value


def _form_of_part(value: Any) -> str:
    return "tag-word" if isinstance(value, str) else "tag-part"


def _form_of_argv(value: Any) -> str:
    return "tag-line" if isinstance(value, dict | CommandLine) else "tag-words"


Part = Annotated[Annotated[str, Tag("tag-word")] | Annotated[ArgvPart, Tag("tag-part")], Discriminator(_form_of_part)]
Argv = Annotated[
    Annotated[tuple[Part, ...], Tag("tag-words")] | Annotated[CommandLine, Tag("tag-line")],
    Discriminator(_form_of_argv),
]


class Tool(Document):
    """One tool. Every property of ``input_schema`` must stand in an answer; those not ``required`` may be null."""

    name: ToolName
    description: str = ""
    input_schema: Json
    argv: Argv | None = None
    confirm: Literal["always", "never"] = "always"  # for the program that runs answers: ask a person before this tool?

    @property
    def properties(self) -> dict[str, Any]:
        """The schema of each argument, in the author's order."""
        properties: dict[str, Any] = self.input_schema.get("properties", {})
        return properties

    @property
    def required(self) -> frozenset[str]:
        """The arguments that may not be null."""
        return frozenset(self.input_schema.get("required", ()))

    @field_validator("input_schema")
    @classmethod
    def _is_object_schema(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("type") != "object":
            raise ValueError("must be a JSON Schema with `type: object`")
        properties = value.get("properties", {})
        if not isinstance(properties, dict) or not all(isinstance(item, dict) for item in properties.values()):
            raise ValueError("`properties` must map each argument to a schema")
        required = value.get("required", [])
        if not isinstance(required, list) or not set(map(str, required)) <= set(properties):
            raise ValueError("`required` must list arguments that `properties` has")
        _refuse_remote_references(value)
        return value

    @model_validator(mode="after")
    def _argv_reads_known_arguments(self) -> Tool:
        unknown = self._argv_arguments() - set(self.properties)
        if unknown:
            raise ValueError(f"argv reads `{min(unknown)}`, which input_schema does not have")
        return self

    def _argv_arguments(self) -> set[str]:
        if isinstance(self.argv, CommandLine):
            return {self.argv.command_line}
        parts = [part for part in self.argv or () if isinstance(part, ArgvPart)]
        return set().union(*(part.arguments() for part in parts))


def _refuse_remote_references(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            _refuse_remote_references(item)
    elif isinstance(schema, dict):
        for key, item in schema.items():
            if key in _REFERENCES and not (isinstance(item, str) and item.startswith("#")):
                raise ValueError(f"`{key}` may only point inside the schema (#/…)")
            _refuse_remote_references(item)


class ContractDocument(Document):
    """contract.yaml, whole."""

    contract: Annotated[int, Field(ge=1, le=1)]
    system_prompt: Annotated[str, Field(max_length=65536)] = ""
    tools: Annotated[tuple[Tool, ...], Field(min_length=1)]

    @field_validator("tools")
    @classmethod
    def _names_are_unique(cls, value: tuple[Tool, ...]) -> tuple[Tool, ...]:
        names = [tool.name for tool in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two tools are called `{name}`")
        return value

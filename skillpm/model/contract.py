"""contract.yaml: the tools that a correct answer may call. Behaviour lives in ``skillpm.contract``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from skillpm.formats.document import Document, Format, Json, PlacedValueError
from skillpm.model.answer_kind import KINDS, AnswerKind
from skillpm.model.comparison import Comparison, comparison_problem
from skillpm.model.json_schema import is_boolean, refuse_remote_references
from skillpm.model.name import did_you_mean
from skillpm.model.schema_contradictions import refuse_contradictions, refuse_invalid
from skillpm.model.schema_effort import refuse_exponential

ToolName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]


class ArgvPart(Document):
    """One conditional piece of an argv: a flag, a positional value, or a flag with its value.

    A piece is left out while the argument that it reads is null. An argument that is a list gives a positional word, or
    a flag with its value, for each of its items.

    Attributes:
        flag: the option, such as ``--port``; ``if=`` for an operand of ``dd``.
        value: the argument whose value follows.
        condition: ``if``: a boolean argument; the piece stands there only while it is true.
        when: arguments and the values that they must have for the piece to stand there.
        attached: is the value part of the flag's word (``--since=-2h``, ``-n5``)? Then it may begin with ``-``.
        join: what joins the items of a list into one value.
    """

    flag: Annotated[str, Field(pattern=r"^-|^[A-Za-z][\w.-]*=$")] | None = None
    value: str | None = None
    condition: str | None = Field(default=None, alias="if")
    when: Annotated[dict[str, Json], Field(min_length=1)] | None = None
    attached: bool = False
    join: Annotated[str, Field(min_length=1, max_length=8)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> ArgvPart:
        if self.value is None and (self.flag is None or (self.condition is None and self.when is None)):
            raise ValueError("needs `value`, or `flag` with `if` or `when`")
        if self.attached and (self.flag is None or self.value is None):
            raise ValueError("`attached` needs `flag` and `value`")
        if self.flag is not None and not self.flag.startswith("-") and not self.attached:
            raise ValueError(
                f"a flag such as `{self.flag}` needs `attached` and `value`: it is one word with its value"
            )
        if self.join is not None and self.value is None:
            raise ValueError("`join` needs `value`")
        return self

    def arguments(self) -> set[str]:
        """Return the arguments that this piece reads."""
        return {name for name in (self.value, self.condition, *(self.when or ())) if name is not None}


OPTION = re.compile(r"-[A-Za-z0-9?]|--?[A-Za-z0-9][A-Za-z0-9._-]*")
ValueForm = Literal[
    "text",
    "casefold",
    "integer",
    "size",
    "path",
    "link",
    "duration",
    "git_date",
    "timestamp",
    "unit",
    "priority",
    "words",
    "letters",
    "socket_filter",
]
Spellings = Annotated[dict[str, str], Field(max_length=256)]


_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


class _Named(Document):
    """What a flag and an option with a value have in common.

    Attributes:
        names: all names of one option, as a manual lists them: ``-n, --lines``. The last one is its normal form.
        means: what giving it stands for, in other options of the program: ``--state=failed``.
        implies: an option that holds as well, unless it is given otherwise: ``-b``, as for ``journalctl -k``.
        ignored: does it change nothing in what is answered, as ``--no-pager`` where there is no terminal?
    """

    names: Annotated[tuple[str, ...], WithJsonSchema(_NAMES)]
    means: str | None = None
    implies: str | None = None
    ignored: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"names": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "description": "all names of one option, such as -n, --lines"}, handler(core)]
        }

    @field_validator("names", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)):
            return value
        return tuple(name.strip() if isinstance(name, str) else name for name in names)

    @field_validator("names")
    @classmethod
    def _are_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not OPTION.fullmatch(name):
                raise ValueError(f"`{name[:40]}` is not an option: write `-n` or `--lines`")
        return value

    @property
    def name(self) -> str:
        """The normal form of its name."""
        return self.names[-1]


class Flag(_Named):
    """An option without a value.

    Attributes:
        repeat: does giving it twice say no more than once, or does each count, as of ``-vv``?
    """

    repeat: Literal["set", "each"] = "set"


class ValueOption(_Named):
    """An option with a value: ``-n 200``, ``-n200``, ``--lines 200`` and ``--lines=200`` are the same.

    Attributes:
        optional: may the value be left out? Then it is read from the option's own word alone, as GNU getopt does.
        const: the value that stands for one that is left out.
        following: a pattern of the value. A next word that matches is the value, also where it may be left out.
        default: the value that says no more than leaving the option out.
        form: how two spellings of a value are recognised as one.
        same: spellings of a value and what each stands for: ``{"3": err}``.
        repeat: given twice: does the last count, does each in its order, or each in any order?
        separator: what stands between the values of a list: ``-p A,B`` is ``-p A -p B``. A value with a ``=`` is whole.
        dash: may a value in a word of its own begin with ``-``? One like ``-2h``, a sign and a digit, always may.
        number: is ``-20`` this option with 20, as for ``head``?
        idle_sign: the sign that changes nothing: ``tail -n -5`` is ``tail -n 5``, and ``head -n +5`` is ``head -n 5``.
    """

    optional: bool = False
    const: str | None = None
    following: str | None = None
    default: str | None = None
    form: ValueForm = "text"
    same: Spellings = Field(default_factory=dict)
    repeat: Literal["last", "each", "set"] = "each"
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    dash: bool = False
    number: bool = False
    idle_sign: Literal["+", "-"] | None = None

    @model_validator(mode="after")
    def _fits(self) -> ValueOption:
        if not self.optional and self.const is not None:
            raise ValueError("`const` needs `optional: true`")
        if self.separator is not None and self.repeat == "last":
            raise ValueError("`separator` needs `repeat: each` or `repeat: set`")
        return self


class Operands(Document):
    """The words of a command that are no options.

    Attributes:
        most: how many there may be.
        least: how many there must be.
        form: how two spellings of one are recognised as one; ``words`` and ``socket_filter`` (of ``ss``) read all of
            them as one expression.
        first: the form of the first one, where it is another than that of the rest: the pattern of ``grep``.
        any_order: do they mean the same in any order?
        default: the operand that is meant where none is given: ``.``, as for ``du``.
    """

    most: Annotated[int, Field(ge=0, le=64)]
    least: Annotated[int, Field(ge=0, le=64)] = 0
    form: ValueForm = "text"
    first: ValueForm | None = None
    any_order: bool = False
    default: str | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 64}, handler(core)]}

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"most": value} if isinstance(value, str | int) else value


class Program(Document):
    """How one program of a command line, or one of its subcommands, may be called (POSIX 12.2, GNU getopt).

    Attributes:
        options: options without a value: ``-h, --human-readable``.
        values: options that take a value: ``-n, --lines``.
        subcommands: what the first operand must be, where given; each alone, or with a grammar of its own, whose
            options stand after it.
        default_subcommand: the one that is meant where none is given.
        operands: how many operands may follow (after the subcommand), or more about them.
        order: ``any`` where options mean the same wherever they stand; ``kept`` where their order counts.
        options_first: do options end at the first operand, or at the subcommand? Else a subcommand takes those of its
            program as well, and they mean the same on either side of it.
        bundle_first: may the first word be a bundle of options without its dash, as ``tar tvf FILE``?
        last_of: groups of options of which the last that is given counts, as ``-t`` and ``-S`` of ``ls``.
        default_options: what is meant where no option is given: ``-lwc``, as for ``wc``.
    """

    options: tuple[Flag, ...] = ()
    values: tuple[ValueOption, ...] = ()
    subcommands: tuple[str, ...] | dict[str, Program] = ()
    default_subcommand: str | None = None
    operands: Operands = Operands(most=0)
    order: Literal["any", "kept"] = "any"
    options_first: bool = False
    bundle_first: bool = False
    last_of: tuple[Annotated[tuple[str, ...], Field(min_length=2)], ...] = ()
    default_options: str | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Program:
        if self.default_subcommand is not None and self.default_subcommand not in self.subcommands:
            raise ValueError(f"`default_subcommand`: `{self.default_subcommand}` is not one of the subcommands")
        flags = [name for option in self.options for name in option.names]
        values = [name for option in self.values for name in option.names]
        for names in (flags, values):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"`{name}` is listed twice")
        for name in (name for group in self.last_of for name in group):
            if name not in {*flags, *values}:
                raise ValueError(f"`last_of`: `{name}` is not an option of the program")
        if sum(option.number for option in self.values) > 1:
            raise ValueError("only one option can have `number: true`")
        for option in (*self.options, *self.values):
            for verb, other in (("means", option.means), ("implies", option.implies)):
                target = (other or "").partition("=")[0].split(" ")[0]
                if target and target not in {*flags, *values}:
                    raise ValueError(f"`{option.name}` {verb} `{target}`, which is not an option of the program")
        return self


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
    """One tool. Every property of ``input_schema`` must stand in an answer; those not ``required`` may be null.

    Attributes:
        compare: when two values are the same, by argument: ``title``, ``customer.email``, ``items[].price``. Everything
            else is compared exactly.
        read_only: it changes nothing. ``skillpm run`` then gives it no folder to write, and may run it unasked where a
            person says so.
    """

    name: ToolName
    description: str = ""
    input_schema: Json
    compare: Annotated[dict[str, Comparison], Field(max_length=256)] = Field(default_factory=dict)
    argv: Argv | None = None
    confirm: Literal["always", "never"] = "always"  # for the program that runs answers: ask a person before this tool?
    read_only: bool = False

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
        if not isinstance(required, list) or not all(isinstance(name, str) and name in properties for name in required):
            raise ValueError("`required` must list arguments that `properties` has")
        refuse_remote_references(value)
        refuse_exponential(value)
        refuse_contradictions(value)
        refuse_invalid(value)
        return value

    @field_validator("compare")
    @classmethod
    def _compares_known_arguments(cls, value: dict[str, Comparison], info: ValidationInfo) -> dict[str, Comparison]:
        schema = info.data.get("input_schema")
        for place, comparison in value.items():
            if schema is None:
                break  # it is wrong, which is an error of its own
            problem = comparison_problem(schema, place, comparison)
            if problem is not None:
                raise ValueError(f"`{place[:80]}`: {problem}")
        return value

    @model_validator(mode="after")
    def _argv_reads_known_arguments(self) -> Tool:
        unknown = sorted(self.argv_arguments - set(self.properties))
        for step, part in self._parts():
            if not part.arguments().isdisjoint(unknown):
                raise _unknown_arguments(unknown, self.properties, "argv", step)
            if part.condition is not None and not is_boolean(self.properties[part.condition], self.input_schema):
                message = f"`if: {part.condition}` is not a boolean; use `when` for its value"
                raise PlacedValueError(message, place=("argv", step))
            for name, value in (part.when or {}).items():
                members = self.properties[name].get("enum", (value,))
                if value not in members:
                    hint = did_you_mean(str(value), map(str, members), f"it is one of {', '.join(map(str, members))}")
                    message = f"`when`: `{name}` is never `{str(value)[:80]}`"
                    raise PlacedValueError(message, place=("argv", step, "when", name), hint=hint)
        if unknown:
            raise _unknown_arguments(unknown, self.properties, "argv", "command_line")
        return self

    @property
    def argv_arguments(self) -> frozenset[str]:
        """The arguments that the argv reads."""
        if isinstance(self.argv, CommandLine):
            return frozenset({self.argv.command_line})
        return frozenset().union(*(part.arguments() for _, part in self._parts()))

    def _parts(self) -> list[tuple[int, ArgvPart]]:
        """Return the pieces of the argv that are no words, each with its index."""
        if self.argv is None or isinstance(self.argv, CommandLine):
            return []
        return [(step, part) for step, part in enumerate(self.argv) if isinstance(part, ArgvPart)]


def _unknown_arguments(unknown: list[str], known: Iterable[str], *place: str | int) -> PlacedValueError:
    listed = ", ".join(f"`{name[:80]}`" for name in unknown)
    verb = "is" if len(unknown) == 1 else "are"
    hint = did_you_mean(unknown[0], known, "add it to the properties of input_schema")
    return PlacedValueError(f"argv reads {listed}, which {verb} not in input_schema", place=place, hint=hint)


_TEXT_ANSWER = {"type": "object", "properties": {"answer": {"type": "string"}}}
_EXACT = Comparison(by=("exact",))


class ContractDocument(Document):
    """contract.yaml, whole.

    Attributes:
        answers: the kinds of a right answer; a call is always one.
        compare_answer: when two texts of ``{"answer": TEXT}`` are the same.
    """

    contract: Format
    system_prompt: Annotated[str, Field(max_length=65536)] = ""
    answers: tuple[AnswerKind, ...] = ("call",)
    compare_answer: Comparison = _EXACT
    tools: Annotated[tuple[Tool, ...], Field(min_length=1)]

    @field_validator("answers")
    @classmethod
    def _answers_hold_a_call(cls, value: tuple[AnswerKind, ...]) -> tuple[AnswerKind, ...]:
        if "call" not in value:
            raise ValueError("must name `call`: a contract has tools")
        twice = next((kind for kind in KINDS if value.count(kind) > 1), None)
        if twice is not None:
            raise ValueError(f"names `{twice}` twice")
        return tuple(kind for kind in KINDS if kind in value)

    @field_validator("compare_answer")
    @classmethod
    def _compares_texts(cls, value: Comparison) -> Comparison:
        problem = comparison_problem(_TEXT_ANSWER, "answer", value)
        if problem is not None:
            raise ValueError(problem)
        return value

    @field_validator("tools")
    @classmethod
    def _names_are_unique(cls, value: tuple[Tool, ...]) -> tuple[Tool, ...]:
        names = [tool.name for tool in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two tools are called `{name}`")
        return value

"""SK2: the fields of the frontmatter, as the Agent Skills specification has them; the name has a module of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from skillpm.formats.strict import PlainScalar, Table
from skillpm.layout.rule import RuleSet, Scope
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem
from skillpm.model.name import near_names

FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
DESCRIPTION_LENGTH = 1024  # characters
COMPATIBILITY_LENGTH = 500  # characters
TYPED = re.compile(
    r"(?:[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|true|True|TRUE|false|False|FALSE)\Z"
)
_LIST_COMMA = re.compile(r",(?:\s|\Z)(?![^()]*\))")


def text_of(fields: Table, key: str) -> str | None:
    """Return a field that is text, stripped; None where it is missing, empty or of another shape."""
    value = fields.get(key)
    return value.strip() or None if isinstance(value, str) else None


def fields_of(subject: Subject) -> Table:
    """Return the frontmatter, which rules of this scope always have."""
    assert subject.fields is not None
    return subject.fields


RULES = RuleSet(Scope.FRONTMATTER)


@RULES.strict_error(
    "SK201",
    "unknown field",
    why="The specification knows six fields; the reference validator and several uploads refuse others.",
)
def unknown_field(subject: Subject) -> Iterator[Problem]:
    """A top-level key outside the six."""
    fields = fields_of(subject)
    for key in fields:
        if key not in FIELDS:
            near = near_names(key.lower().replace("_", "-")[:80], [name for name in FIELDS if name not in fields], 1)
            move = f"move `{key[:80]}` under `metadata`" if isinstance(fields[key], str) else "remove it"
            hint = f"call it `{near[0]}`, or {move}" if near else move
            yield Problem(f"unknown field `{key[:80]}`", fields.lines[key], hint=hint)


@RULES.error(
    "SK210",
    "no description",
    why="The description is all that a model sees before it chooses a skill; clients skip a skill without it.",
)
def no_description(subject: Subject) -> Iterator[Problem]:
    """Missing, empty or not text."""
    yield from required_text(subject, "description")


@RULES.strict_error(
    "SK211",
    "description longer than 1,024 characters",
    why="The specification allows 1,024; clients cut or drop what is longer.",
)
def long_description(subject: Subject) -> Iterator[Problem]:
    """Counted in characters."""
    fields = fields_of(subject)
    length = len(fields["description"]) if text_of(fields, "description") else 0
    if length > DESCRIPTION_LENGTH:
        message = f"the description has {length} characters, {DESCRIPTION_LENGTH} are allowed"
        yield Problem(message, fields.lines["description"], hint="keep what it does and when to use it")


@RULES.warning(
    "SK212",
    "angle brackets in the description",
    why="Clients put descriptions between tags in a prompt; some uploads refuse `<` and `>`.",
)
def angle_brackets(subject: Subject) -> Iterator[Problem]:
    """``<`` or ``>``."""
    fields = fields_of(subject)
    description = text_of(fields, "description") or ""
    if "<" in description or ">" in description:
        yield Problem(
            "the description holds `<` or `>`", fields.lines["description"], hint="describe it without brackets"
        )


@RULES.strict_error("SK213", "compatibility is not up to 500 characters of text", why="The specification says so.")
def bad_compatibility(subject: Subject) -> Iterator[Problem]:
    """Present, but too long or of another shape."""
    fields = fields_of(subject)
    value = fields.get("compatibility")
    if isinstance(value, (list, dict)):
        yield Problem("`compatibility` must be text", fields.lines["compatibility"], hint="write one sentence")
    elif len(value or "") > COMPATIBILITY_LENGTH:
        message = f"`compatibility` has {len(value or '')} characters, {COMPATIBILITY_LENGTH} are allowed"
        yield Problem(message, fields.lines["compatibility"], hint="move detail into the body")


@RULES.warning(
    "SK214", "license is not text", why="The specification wants a short name, or the name of a bundled file."
)
def bad_license(subject: Subject) -> Iterator[Problem]:
    """Present, but empty or of another shape."""
    fields = fields_of(subject)
    if "license" in fields and text_of(fields, "license") is None:
        yield Problem("`license` must be a non-empty text", fields.lines["license"], hint="such as `Apache-2.0`")


@RULES.warning(
    "SK215",
    "metadata is not a mapping of text to text",
    why="The specification wants string values; `version: 1.10` is the number 1.1 to a YAML reader.",
)
def bad_metadata(subject: Subject) -> Iterator[Problem]:
    """Not a mapping, a nested value, or an unquoted number or boolean."""
    fields = fields_of(subject)
    if "metadata" not in fields:
        return
    metadata = fields["metadata"]
    if not isinstance(metadata, Table):
        yield Problem("`metadata` must map text to text", fields.lines["metadata"], hint="write `key: value` lines")
        return
    for key, value in metadata.items():
        shape = _not_text(value)
        if shape:
            hint = "put it in quotes" if isinstance(value, PlainScalar) else "give it one text in quotes"
            yield Problem(f"`metadata.{key[:80]}` must be text, not {shape}", metadata.lines[key], hint=hint)


@RULES.warning(
    "SK216",
    "allowed-tools is not text",
    why="The specification wants one text with spaces between the tools; clients split it.",
)
def bad_allowed_tools(subject: Subject) -> Iterator[Problem]:
    """A list, a mapping or nothing."""
    fields = fields_of(subject)
    if "allowed-tools" in fields and not isinstance(fields["allowed-tools"], str):
        hint = "write `allowed-tools: Read Grep`"
        yield Problem("`allowed-tools` must be one text, not a list", fields.lines["allowed-tools"], hint=hint)


@RULES.warning(
    "SK217",
    "commas between allowed tools",
    why="The specification separates tools by spaces; a client that does so sees a tool called `Read,`.",
)
def comma_in_allowed_tools(subject: Subject) -> Iterator[Problem]:
    """A comma that ends a word outside parentheses."""
    fields = fields_of(subject)
    if _LIST_COMMA.search((text_of(fields, "allowed-tools") or "")[:4096]):
        hint = "write `allowed-tools: Read Grep`"
        yield Problem("separate the allowed tools by spaces", fields.lines["allowed-tools"], hint=hint)


@RULES.warning(
    "SK218",
    "a field reads as a number or a boolean",
    why="The field must be text; unquoted, a YAML reader gives another type and clients fail on it.",
)
def typed_field(subject: Subject) -> Iterator[Problem]:
    """An unquoted scalar that the core schema of YAML 1.2 does not read as text."""
    fields = fields_of(subject)
    for key in FIELDS:
        value = fields.get(key)
        if isinstance(value, PlainScalar) and TYPED.match(value):
            yield Problem(f"`{key}` must be text, not {_not_text(value)}", fields.lines[key], hint="put it in quotes")


@RULES.warning(
    "SK219", "compatibility says nothing", why="The specification wants 1 to 500 characters, if there is one."
)
def empty_compatibility(subject: Subject) -> Iterator[Problem]:
    """Present, but empty."""
    fields = fields_of(subject)
    if "compatibility" in fields and fields["compatibility"] in (None, ""):
        yield Problem("`compatibility` is empty", fields.lines["compatibility"], hint="leave it out")


def required_text(subject: Subject, key: str) -> Iterator[Problem]:
    """Yield a problem where a required field is missing, empty or not text."""
    fields = fields_of(subject)
    if key not in fields:
        yield Problem(f"missing required field `{key}`", subject.parts.line, hint=f"add `{key}: …` to the frontmatter")
    elif text_of(fields, key) is None:
        yield Problem(f"`{key}` must be a non-empty text", fields.lines[key], hint="write it as text, in quotes")


def _not_text(value: Any) -> str | None:
    """Name what a value is to a YAML reader, or return None where it is text."""
    if isinstance(value, PlainScalar) and TYPED.match(value):
        return "a boolean" if value[0] in "tTfF" else "a number"
    return None if isinstance(value, str) else {Table: "a mapping", type(None): "nothing"}.get(type(value), "a list")

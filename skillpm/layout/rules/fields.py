"""SK2: the fields of the frontmatter, as the Agent Skills specification has them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from skillpm.layout.rule import Problem, Rule, Scope, rule
from skillpm.layout.subject import Subject
from skillpm.model.document import PlainScalar, Table
from skillpm.model.finding import Severity
from skillpm.model.name import WINDOWS_DEVICES

__all__ = ["FIELDS", "RULES"]

FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
NAME_LENGTH = 64  # characters
DESCRIPTION_LENGTH = 1024  # characters
COMPATIBILITY_LENGTH = 500  # characters
TYPED = re.compile(
    r"(?:[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|true|True|TRUE|false|False|FALSE)\Z"
)
_LIST_COMMA = re.compile(r",(?:\s|\Z)(?![^()]*\))")
NAME_HINT = "lowercase letters, digits and single hyphens, 1 to 64 characters"


def _text(fields: Table, key: str) -> str | None:
    """Return a field that is text, stripped; None where it is missing, empty or of another shape."""
    value = fields.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _fields(subject: Subject) -> Table:
    assert subject.fields is not None
    return subject.fields


def _name(subject: Subject) -> tuple[str, int]:
    """Return the name in its composed form, empty where there is none, and its line."""
    fields = _fields(subject)
    return unicodedata.normalize("NFKC", _text(fields, "name") or ""), fields.lines.get("name", subject.parts.line)


@rule(
    "SK201",
    "unknown field",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification knows six fields; the reference validator and several uploads refuse others.",
)
def unknown_field(subject: Subject) -> Iterator[Problem]:
    """A top-level key outside the six."""
    fields = _fields(subject)
    for key in fields:
        if key not in FIELDS:
            hint = f"move `{key[:80]}` under `metadata`" if isinstance(fields[key], str) else "remove it"
            yield Problem(f"unknown field `{key[:80]}`", fields.lines[key], hint=hint)


@rule(
    "SK202",
    "no name",
    scope=Scope.FRONTMATTER,
    why="`name` is required: it is what a client lists and what a user types.",
)
def no_name(subject: Subject) -> Iterator[Problem]:
    """Missing, empty or not text."""
    yield from _required(subject, "name")


@rule(
    "SK203",
    "name longer than 64 characters",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification allows 64.",
)
def long_name(subject: Subject) -> Iterator[Problem]:
    """Counted in characters of the composed form."""
    name, line = _name(subject)
    if len(name) > NAME_LENGTH:
        yield Problem(f"the name has {len(name)} characters, {NAME_LENGTH} are allowed", line, hint=NAME_HINT)


@rule(
    "SK204",
    "name not in lower case",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification allows lowercase letters only, so that a name is one name everywhere.",
)
def upper_case_name(subject: Subject) -> Iterator[Problem]:
    """Any letter that has a lower case."""
    name, line = _name(subject)
    if name != name.lower():
        yield Problem(f"the name `{name[:80]}` must be lowercase", line, hint=f"call it `{name.lower()[:80]}`")


@rule(
    "SK205",
    "hyphen at an end of the name",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification forbids it; a leading hyphen is taken for an option.",
)
def outer_hyphen(subject: Subject) -> Iterator[Problem]:
    """The first or the last character."""
    name, line = _name(subject)
    if name.startswith("-") or name.endswith("-"):
        yield Problem("the name must not start or end with a hyphen", line, hint=NAME_HINT)


@rule(
    "SK206",
    "two hyphens in a row in the name",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification forbids it.",
)
def double_hyphen(subject: Subject) -> Iterator[Problem]:
    """``--`` anywhere."""
    name, line = _name(subject)
    if "--" in name:
        yield Problem("the name must not hold two hyphens in a row", line, hint=NAME_HINT)


@rule(
    "SK207",
    "other characters in the name",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification allows letters, digits and hyphens.",
)
def other_characters(subject: Subject) -> Iterator[Problem]:
    """Neither alphanumeric (of any script) nor a hyphen."""
    name, line = _name(subject)
    other = sorted({character for character in name if not (character.isalnum() or character == "-")})
    if other:
        listed = " ".join(f"`{character}`" for character in other[:8])
        yield Problem(f"the name holds {listed}: only letters, digits and hyphens are allowed", line, hint=NAME_HINT)


@rule(
    "SK208",
    "name differs from the folder",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="Clients find a skill by one or by the other; where they differ, it answers to two names.",
)
def other_folder(subject: Subject) -> Iterator[Problem]:
    """Compared in the composed form; not looked at where there is no folder."""
    name, line = _name(subject)
    folder = unicodedata.normalize("NFKC", subject.folder) if subject.folder is not None else name
    if name and name != folder:
        yield Problem(
            f"the name `{name[:80]}` must equal the folder's name `{folder[:80]}`", line, hint="rename one of them"
        )


@rule(
    "SK209",
    "name is not safe as a path",
    scope=Scope.FRONTMATTER,
    why="A client that makes a folder of this name would write outside its skills, or not at all.",
)
def unsafe_name(subject: Subject) -> Iterator[Problem]:
    """Separators, NUL, dots only, or a device of Windows."""
    name, line = _name(subject)
    separators = any(character in name for character in "/\\\0:")
    if separators or (name and not name.strip(".")) or name.lower() in WINDOWS_DEVICES:
        yield Problem(f"the name `{name[:80]}` is not safe as a folder's name", line, hint=NAME_HINT)


@rule(
    "SK210",
    "no description",
    scope=Scope.FRONTMATTER,
    why="The description is all that a model sees before it chooses a skill; clients skip a skill without it.",
)
def no_description(subject: Subject) -> Iterator[Problem]:
    """Missing, empty or not text."""
    yield from _required(subject, "description")


@rule(
    "SK211",
    "description longer than 1,024 characters",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification allows 1,024; clients cut or drop what is longer.",
)
def long_description(subject: Subject) -> Iterator[Problem]:
    """Counted in characters."""
    fields = _fields(subject)
    length = len(_text(fields, "description") or "")
    if length > DESCRIPTION_LENGTH:
        message = f"the description has {length} characters, {DESCRIPTION_LENGTH} are allowed"
        yield Problem(message, fields.lines["description"], hint="keep what it does and when to use it")


@rule(
    "SK212",
    "angle brackets in the description",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="Clients put descriptions between tags in a prompt; some uploads refuse `<` and `>`.",
)
def angle_brackets(subject: Subject) -> Iterator[Problem]:
    """``<`` or ``>``."""
    fields = _fields(subject)
    description = _text(fields, "description") or ""
    if "<" in description or ">" in description:
        yield Problem("the description holds `<` or `>`", fields.lines["description"], hint="say it without brackets")


@rule(
    "SK213",
    "compatibility is not 1 to 500 characters of text",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification says so.",
)
def bad_compatibility(subject: Subject) -> Iterator[Problem]:
    """Present, but empty, too long or of another shape."""
    fields = _fields(subject)
    if "compatibility" not in fields:
        return
    text, line = _text(fields, "compatibility"), fields.lines["compatibility"]
    if text is None:
        yield Problem("`compatibility` must be a non-empty text", line, hint="leave it out where it says nothing")
    elif len(text) > COMPATIBILITY_LENGTH:
        message = f"`compatibility` has {len(text)} characters, {COMPATIBILITY_LENGTH} are allowed"
        yield Problem(message, line, hint="move detail into the body")


@rule(
    "SK214",
    "license is not text",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification wants a short name, or the name of a bundled file.",
)
def bad_license(subject: Subject) -> Iterator[Problem]:
    """Present, but empty or of another shape."""
    fields = _fields(subject)
    if "license" in fields and _text(fields, "license") is None:
        yield Problem("`license` must be a non-empty text", fields.lines["license"], hint="such as `Apache-2.0`")


@rule(
    "SK215",
    "metadata is not a mapping of text to text",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification wants string values; `version: 1.10` is the number 1.1 to a YAML reader.",
)
def bad_metadata(subject: Subject) -> Iterator[Problem]:
    """Not a mapping, a nested value, or an unquoted number or boolean."""
    fields = _fields(subject)
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


@rule(
    "SK216",
    "allowed-tools is not text",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification wants one text with spaces between the tools; clients split it.",
)
def bad_allowed_tools(subject: Subject) -> Iterator[Problem]:
    """A list, a mapping or nothing."""
    fields = _fields(subject)
    if "allowed-tools" in fields and not isinstance(fields["allowed-tools"], str):
        hint = "write `allowed-tools: Read Grep`"
        yield Problem("`allowed-tools` must be one text, not a list", fields.lines["allowed-tools"], hint=hint)


@rule(
    "SK217",
    "commas between allowed tools",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The specification separates tools by spaces; a client that does so sees a tool called `Read,`.",
)
def comma_in_allowed_tools(subject: Subject) -> Iterator[Problem]:
    """A comma that ends a word outside parentheses."""
    fields = _fields(subject)
    if _LIST_COMMA.search((_text(fields, "allowed-tools") or "")[:4096]):
        hint = "write `allowed-tools: Read Grep`"
        yield Problem("separate the allowed tools by spaces", fields.lines["allowed-tools"], hint=hint)


@rule(
    "SK218",
    "a field reads as a number or a boolean",
    lenient=Severity.WARNING,
    scope=Scope.FRONTMATTER,
    why="The field must be text; unquoted, a YAML reader gives another type and clients fail on it.",
)
def typed_field(subject: Subject) -> Iterator[Problem]:
    """An unquoted scalar that the core schema of YAML 1.2 does not read as text."""
    fields = _fields(subject)
    for key in FIELDS:
        value = fields.get(key)
        if isinstance(value, PlainScalar) and TYPED.match(value):
            yield Problem(f"`{key}` must be text, not {_not_text(value)}", fields.lines[key], hint="put it in quotes")


def _required(subject: Subject, key: str) -> Iterator[Problem]:
    fields = _fields(subject)
    if key not in fields:
        yield Problem(f"missing required field `{key}`", subject.parts.line, hint=f"add `{key}: …` to the frontmatter")
    elif _text(fields, key) is None:
        yield Problem(f"`{key}` must be a non-empty text", fields.lines[key], hint="write it as text, in quotes")


def _not_text(value: Any) -> str | None:
    """Name what a value is to a YAML reader, or return None where it is text."""
    if isinstance(value, PlainScalar) and TYPED.match(value):
        return "a boolean" if value[0] in "tTfF" else "a number"
    return None if isinstance(value, str) else {Table: "a mapping", type(None): "nothing"}.get(type(value), "a list")


RULES: tuple[Rule, ...] = (
    unknown_field,
    no_name,
    long_name,
    upper_case_name,
    outer_hyphen,
    double_hyphen,
    other_characters,
    other_folder,
    unsafe_name,
    no_description,
    long_description,
    angle_brackets,
    bad_compatibility,
    bad_license,
    bad_metadata,
    bad_allowed_tools,
    comma_in_allowed_tools,
    typed_field,
)

"""How every document is read: strict YAML and JSON Lines with line numbers, and the base of all models.

YAML scalars arrive as text, so ``version: 1.10`` stays "1.10" and ``no`` stays "no"; a model coerces them.
Where a document embeds JSON (an input schema, an expected answer) a field of type ``Json`` gives unquoted scalars the
types of the YAML 1.2 core schema. Duplicate keys, anchors, tags, non-text keys and deep nesting are errors with a line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from skillpm.errors import DocumentError

__all__ = [
    "STRICT_DECODER",
    "Document",
    "Items",
    "Json",
    "PlainScalar",
    "Table",
    "model_errors",
    "read_json_lines",
    "read_model",
    "read_yaml",
    "strict_json",
]

MAX_DOCUMENT = 1 << 20  # bytes of one YAML document
MAX_DEPTH = 32  # levels of nesting
_CORE_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_CORE_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")

_new, _set = object.__new__, object.__setattr__

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainScalar(str):
    """An unquoted YAML scalar: text, until a ``Json`` field gives it a type."""

    __slots__ = ()


class Table(dict[str, Any]):
    """A YAML mapping that remembers the line of each key."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A YAML sequence that remembers the line of each item."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


def _typed(value: Any) -> Any:
    """Give unquoted scalars the types of the YAML 1.2 core schema, recursively."""
    if isinstance(value, PlainScalar):
        text = str(value)
        if text in ("true", "True", "TRUE"):
            return True
        if text in ("false", "False", "FALSE"):
            return False
        if len(text) <= 400 and _CORE_INTEGER.match(text):
            return int(text)
        if len(text) <= 400 and _CORE_FLOAT.match(text) and math.isfinite(float(text)):
            return float(text)
        return text
    if isinstance(value, dict):
        return {str(key): _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return value


Json = Annotated[Any, BeforeValidator(_typed)]


class Document(BaseModel):
    """Base of everything that crosses a file, a wire or a process: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False, ser_json_inf_nan="strings")

    @classmethod
    def made(cls, **values: Any) -> Self:
        """Build from values that need no check, all fields given: ``model_construct`` twice as fast, for hot paths.

        It sets the attributes that pydantic documents for instances of a model.
        """
        document = _new(cls)
        _set(document, "__dict__", values)
        _set(document, "__pydantic_fields_set__", set(values))
        _set(document, "__pydantic_extra__", None)
        _set(document, "__pydantic_private__", None)
        return document


D = TypeVar("D", bound=BaseModel)


def read_yaml(text: str, *, path: str = "", first_line: int = 1) -> Any:
    """Parse strict YAML into Tables, Items and PlainScalars.

    Args:
        text: one YAML document.
        path: the file's name for messages.
        first_line: the line of the file on which ``text`` begins, 1-based.

    Raises:
        DocumentError: with path and line.
    """
    offset = first_line
    if len(text) > MAX_DOCUMENT:
        raise DocumentError(f"larger than {MAX_DOCUMENT} characters", path=path)
    try:
        loader = _Loader(text)
        try:
            node = _events(loader, path, offset)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "malformed"
        raise DocumentError(f"not YAML: {problem}", path=path, line=mark.line + offset if mark else None) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DocumentError(f"not YAML: {reason}", path=path) from None
    return node


def _events(loader: Any, path: str, offset: int) -> Any:
    loader.get_event()
    if loader.check_event(yaml.StreamEndEvent):
        return None
    loader.get_event()
    value = _value(loader, path, offset, 0)
    loader.get_event()
    if not loader.check_event(yaml.StreamEndEvent):
        event = loader.peek_event()
        raise DocumentError("more than one YAML document", path=path, line=event.start_mark.line + offset)
    return value


def _value(loader: Any, path: str, offset: int, depth: int) -> Any:
    event = loader.get_event()
    line = event.start_mark.line + offset
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise DocumentError("YAML anchors and aliases are not allowed", path=path, line=line)
    if depth > MAX_DEPTH:
        raise DocumentError(f"nested deeper than {MAX_DEPTH} levels", path=path, line=line)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, path, line)
    if event.tag is not None and event.tag != "!":
        raise DocumentError(f"YAML tag {event.tag} is not allowed", path=path, line=line)
    if isinstance(event, yaml.SequenceStartEvent):
        items = Items()
        while not loader.check_event(yaml.SequenceEndEvent):
            items.lines.append(loader.peek_event().start_mark.line + offset)
            items.append(_value(loader, path, offset, depth + 1))
        loader.get_event()
        return items
    table = Table()
    while not loader.check_event(yaml.MappingEndEvent):
        key_line = loader.peek_event().start_mark.line + offset
        key = _value(loader, path, offset, depth + 1)
        if not isinstance(key, str):
            raise DocumentError("keys must be text", path=path, line=key_line)
        if key in table:
            raise DocumentError(f"duplicate key `{key}`", path=path, line=key_line)
        table[str(key)] = _value(loader, path, offset, depth + 1)
        table.lines[str(key)] = key_line
    loader.get_event()
    return table


def _scalar(event: Any, path: str, line: int) -> str | None:
    if event.tag is not None and event.tag not in ("!", "tag:yaml.org,2002:str"):
        raise DocumentError(f"YAML tag {event.tag} is not allowed", path=path, line=line)
    if not event.style and event.tag is None:
        return None if event.value in ("", "~", "null", "Null", "NULL") else PlainScalar(event.value)
    return str(event.value)


def _line_of(root: Any, location: tuple[int | str, ...]) -> int | None:
    """Return the line of the deepest part of a pydantic error location that the parsed tree knows."""
    line: int | None = None
    node = root
    for step in location:
        found = _step(node, step)
        if found is not None:
            line, node = found
    return line


def _step(node: Any, step: int | str) -> tuple[int, Any] | None:
    """Return the line and the value of a key or an item, where the node is a parsed one that has it."""
    if isinstance(node, Table) and isinstance(step, str) and step in node:
        return node.lines[step], node[step]
    if isinstance(node, Items) and isinstance(step, int) and step < len(node):
        return node.lines[step], node[step]
    return None


def _sentence(error: Any) -> str:
    place = ".".join(str(step) for step in error["loc"] if not str(step).startswith("tag-"))
    if error["type"] == "extra_forbidden":
        return f"unknown key `{place}`"
    if error["type"] == "missing":
        return f"missing key `{place}`"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:]
    return f"`{place}`: {message}" if place else message


def model_errors(error: ValidationError, root: Any, *, path: str = "", line: int | None = None) -> list[DocumentError]:
    """Turn pydantic's findings into one DocumentError each, with the line of the key."""
    return [
        DocumentError(_sentence(item), path=path, line=_line_of(root, item["loc"]) or line)
        for item in error.errors(include_url=False, include_input=False)
    ]


def read_model(model: type[D], text: str, *, path: str = "") -> D:
    """Read one YAML document into a model.

    Raises:
        DocumentError: the first thing that is wrong, with path and line.
    """
    root = read_yaml(text, path=path)
    if not isinstance(root, dict):
        raise DocumentError("must be a mapping", path=path, line=1)
    try:
        return model.model_validate(root)
    except ValidationError as error:
        raise model_errors(error, root, path=path)[0] from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key `{key[:80]}`")
            seen.add(key)
    return table


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


STRICT_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)


def strict_json(text: str) -> Any:
    """Parse JSON, refusing duplicate keys, NaN, infinities and numbers out of range (RFC 8259, RFC 7493).

    Raises:
        ValueError: with the reason.
    """
    try:
        return STRICT_DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json_lines(model: type[D], text: str, *, path: str = "") -> Iterator[tuple[int, D]]:
    """Read JSON Lines into ``(line number, document)`` pairs; blank lines are skipped.

    Raises:
        DocumentError: at the first bad line.
    """
    for number, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            root = strict_json(row)
        except ValueError as error:
            raise DocumentError(f"not JSON: {error}", path=path, line=number) from None
        try:
            yield number, model.model_validate(root)
        except ValidationError as error:
            raise model_errors(error, root, path=path, line=number)[0] from None

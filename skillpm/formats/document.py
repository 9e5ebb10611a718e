"""The base of all models, and how they are read from YAML and JSON Lines, with line numbers.

YAML scalars arrive as text; a model coerces them. Where a document embeds JSON (an input schema, an expected answer) a
field of type ``Json`` gives unquoted scalars the types of the YAML 1.2 core schema.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from inspect import cleandoc
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.printable import printable, well_formed
from skillpm.formats.strict import Items, PlainScalar, Table, finite, read_json, strict_json
from skillpm.formats.strict_yaml import read_yaml

_CORE_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_CORE_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")

_BRANCH = re.compile(r"(?:literal|dict|list|tuple|function-\w+)\[.*\]\Z")  # pydantic's name of a member of a union

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)

_QUOTED = 60  # characters of a value in a hint

LONE_SURROGATE = "has a lone surrogate, which is not a character"

# what pydantic says of a value, in words that need no knowledge of Python; braces are its own figures
_WORDS = {
    **dict.fromkeys(("dict_type", "model_type", "dataclass_type", "model_attributes_type"), "must be a mapping"),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "must be a list"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "string_type": "must be text",
    "string_unicode": LONE_SURROGATE,
    "string_too_short": "must not be empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "must match `{pattern}`",
    "too_short": "needs at least {min_length}, has {actual_length}",
    "too_long": "may have at most {max_length}, has {actual_length}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}

_new, _set = object.__new__, object.__setattr__


def typed_values(value: Any) -> Any:
    """Give unquoted scalars the types of the YAML 1.2 core schema, recursively.

    Raises:
        ValueError: a text has a lone surrogate, which JSON can spell and no file or wire can hold (RFC 7493).
    """
    if isinstance(value, PlainScalar):
        text = str(value)
        if text in ("true", "True", "TRUE"):
            return True
        if text in ("false", "False", "FALSE"):
            return False
        if len(text) <= 400 and _CORE_FLOAT.match(text):
            with suppress(ValueError):  # out of range, as in JSON
                number = finite(text)
                return int(text) if _CORE_INTEGER.match(text) else number
        return text
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, dict):
        return {_encodable(str(key)): typed_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed_values(item) for item in value]
    return value


def _encodable(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(LONE_SURROGATE) from None
    return text


def surrogate_place(root: Any) -> str | None:
    """Return where a JSON value has a lone surrogate, in a text or a key: its steps with dots between. None without."""
    waiting = [("", root)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if not value.isascii() and well_formed(value) != value:
                return printable(place).removeprefix(".")
        elif isinstance(value, dict):
            waiting += [(f"{place}.{key}", item) for key, item in value.items()]
            waiting += [(f"{place}.{key}", key) for key in value]
        elif isinstance(value, list):
            waiting += [(f"{place}.{number}", item) for number, item in enumerate(value)]
    return None


Json = Annotated[Any, BeforeValidator(typed_values)]


class PlacedValueError(ValueError):
    """What a validator raises where the fault lies deeper than its field, or can be fixed as a hint says.

    Args:
        place: the steps from the field to the fault.
    """

    def __init__(self, message: str, *, place: tuple[str | int, ...] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.place = place
        self.hint = hint

    def inside(self, *steps: str | int) -> PlacedValueError:
        """Return the same problem with these steps before its place."""
        return PlacedValueError(str(self), place=(*steps, *self.place), hint=self.hint)


def _known(number: int) -> int:
    if number > 1:
        hint = "upgrade skillpm-core"
        raise PlacedValueError(f"format {number} is newer than this skillpm, which reads 1", hint=hint)
    return number


_READ = AfterValidator(_known)
Format = Annotated[int, Field(ge=1, json_schema_extra={"maximum": 1}), _READ]
"""The version of a document's format."""


@functools.cache
def _fields_of(model: type[BaseModel]) -> set[str]:
    """Return one set for all documents of a class: nothing changes it, and it takes as much memory as a document."""
    return set(model.model_fields)


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
        _set(document, "__pydantic_fields_set__", _fields_of(cls))
        _set(document, "__pydantic_extra__", None)
        _set(document, "__pydantic_private__", None)
        return document

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """Return what the ``Attributes`` in the docstrings of this model and of its bases say of each field."""
        meanings: dict[str, str] = {}
        for model in reversed(cls.__mro__):
            attributes = cleandoc(model.__doc__ or "").partition("Attributes:\n")[2]
            meanings |= {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
        return meanings

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Give each field its meaning, and leave the meanings out of the description of the whole."""
        reference: dict[str, Any] = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        meanings = cls.meanings()
        for name, field in cls.model_fields.items():
            part = schema.get("properties", {}).get(field.alias or name)
            if part is not None and name in meanings:
                part.setdefault("description", meanings[name])
        if "description" in schema:
            schema["description"] = schema["description"].partition("Attributes:\n")[0].strip()
        return reference


D = TypeVar("D", bound=BaseModel)


def line_of(root: Any, location: tuple[int | str, ...]) -> int | None:
    """Return the line of the deepest part of a pydantic error location that the parsed tree knows."""
    line: int | None = None
    node = root
    for step in location:
        part = _step(node, step)
        if part is not None:
            line, node = part
    return line


def _step(node: Any, step: int | str) -> tuple[int, Any] | None:
    """Return the line and the value of a key or an item, where the node is a parsed one that has it."""
    if isinstance(node, Table) and isinstance(step, str) and step in node:
        return node.lines[step], node[step]
    if isinstance(node, Items) and isinstance(step, int) and step < len(node):
        return node.lines[step], node[step]
    return None


def _placed(finding: Any) -> Any:
    """Return what pydantic says of a value with the place and the hint of the problem, if it has them."""
    problem = finding.get("ctx", {}).get("error")
    place, hint = (problem.place, problem.hint) if isinstance(problem, PlacedValueError) else ((), None)
    return {**finding, "loc": (*finding["loc"], *place), "hint": hint}


def problem_words(error: Any) -> str:
    """Return a finding of pydantic, an item of ``ValidationError.errors()``, in words that need no Python."""
    steps = [str(step) for step in error["loc"] if step != "[key]"]
    place = ".".join(step for step in steps if not step.startswith("tag-") and not _BRANCH.match(step))
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key `{place}`"
    if error["type"] == "missing":
        return f"missing key `{place}`"
    if error["type"] == "json_invalid" and isinstance(error.get("input"), str):
        try:
            strict_json(error["input"])
        except ValueError as problem:
            return f"not JSON: {problem}"
    words = _WORDS.get(error["type"])
    if words is not None:
        message = words.format_map({key: str(value).replace("'", "`") for key, value in error.get("ctx", {}).items()})
    else:
        message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        message = message[:1].lower() + message[1:]
    return f"`{place}`: {message}" if place else message


def model_errors(
    error: ValidationError, root: Any, *, path: str = "", line: int | None = None, model: type[BaseModel] | None = None
) -> list[DocumentError]:
    """Turn pydantic's findings into one DocumentError each, with the line of the key; a model gives near keys."""
    findings = list(map(_placed, error.errors(include_url=False, include_input=False)))
    # a list whose only items are wrong is then too short for pydantic, which nobody can mend
    wrong = {item["loc"][:length] for item in findings for length in range(len(item["loc"]))}
    return [
        DocumentError(
            problem_words(item),
            path=path,
            line=line_of(root, item["loc"]) or line,
            hint=_hint(model, root, item) if model else item["hint"],
        )
        for item in findings
        if (item["type"] != "too_short" or item["loc"] not in wrong) and not _is_surpassed(item["loc"], findings)
    ]


def _is_surpassed(location: tuple[int | str, ...], findings: list[Any]) -> bool:
    """Is this about a member of a union as a whole, while another member fits but for something inside of it?"""
    above = location[:-1]
    return bool(location and _BRANCH.match(str(location[-1]))) and any(
        item["loc"][: len(above)] == above and len(item["loc"]) > len(location) for item in findings
    )


def _hint(model: type[BaseModel], root: Any, finding: Any) -> str | None:
    """Return what to do about a finding: a near key for an unknown one, the number of a format that is missing."""
    from skillpm.formats.near_key import keys_at, near_key

    if finding["type"] == "extra_forbidden":
        return near_key(model, root, finding["loc"])
    if finding["type"] == "model_type":
        return f"its keys are {keys_at(model, finding['loc'])}"
    if finding["type"] in ("list_type", "tuple_type", "string_type", "string_pattern_mismatch"):
        return _as_meant(root, finding)
    field = model.model_fields.get(str(finding["loc"][0])) if finding["type"] == "missing" else None
    if field is not None and len(finding["loc"]) == 1 and _READ in field.metadata:
        return f"add the line `{finding['loc'][0]}: 1`, the version of the format"
    hint: str | None = finding["hint"]
    return hint


def _as_meant(root: Any, finding: Any) -> str | None:
    """Return how to write what was meant as a list, a text or a name; None where that cannot be told."""
    location = finding["loc"]
    value = root
    for step in location:  # one that leads nowhere is pydantic's name of a union's member
        part = _step(value, step)
        value = value if part is None else part[1]
    if location[-1] == "[key]":
        value = location[-2]
    if finding["type"] == "string_type":
        return "put the text into quotes" if isinstance(value, dict | list) else None
    if finding["type"] != "string_pattern_mismatch":
        if not value:
            return None
        is_short = isinstance(value, str) and len(value) <= _QUOTED
        shown = f": `[{json.dumps(value, ensure_ascii=False)}]`" if is_short else ""
        return (
            "begin each item with a dash, or put all of them into brackets"
            if isinstance(value, dict)
            else f"put it into brackets{shown}"
        )
    names = (re.sub(r"[^a-z0-9]+", mark, str(value).lower()).strip(mark) for mark in "_-")
    return next((f"such as `{name}`" for name in names if re.search(finding["ctx"]["pattern"], name)), None)


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
        raise model_errors(error, root, path=path, model=model)[0] from None


def read_json_lines(model: type[D], text: str | Iterable[str], *, path: str = "") -> Iterator[tuple[int, D]]:
    """Read JSON Lines, a text or its lines, into ``(line number, document)`` pairs; blank lines are skipped.

    Raises:
        DocumentError: at the first bad line.
    """
    for number, row in enumerate(text.split("\n") if isinstance(text, str) else text, 1):
        if not row.strip():
            continue
        yield number, read_json_line(model, row, path=path, line=number)


def read_json_line(model: type[D], text: str, *, path: str = "", line: int) -> D:
    """Read one line of JSON Lines. Raises DocumentError."""
    root = read_json(text, path=path, line=line)
    try:
        return model.model_validate(root)
    except ValidationError as error:
        raise model_errors(error, root, path=path, line=line, model=model)[0] from None

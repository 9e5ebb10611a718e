"""Light documents: what machines write and every command reads, locks and pages, as frozen dataclasses.

To import pydantic and to build models takes longer than most commands. So what is plainly right, each value of exactly
the declared type and within its limits, is read here by the same declarations that pydantic would follow. Whatever is
not is given to pydantic, which coerces as it does everywhere, says what is wrong, and makes the JSON Schema.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

_SCALARS = (str, int, bool, NoneType)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a text, a number or a tuple must keep to, in an ``Annotated``; pydantic reads it by its own protocol.

    Attributes:
        pattern: a regular expression that a text matches from end to end, without anchors.
        longest: characters of a text, or items of a tuple, at most.
        least: of a number.
        most: of a number.
        check: raises ValueError with what is wrong with a text.
    """

    pattern: str | None = None
    longest: int | None = None
    least: int | None = None
    most: int | None = None
    check: Callable[[str], str] | None = None

    def admits(self, value: Any) -> bool:
        """Does a value of the right type keep to this?"""
        if isinstance(value, (str, tuple)) and self.longest is not None and len(value) > self.longest:
            return False
        if isinstance(value, tuple):
            return True
        if isinstance(value, str):
            if self.check is not None and not _passes(self.check, value):
                return False
            return self.pattern is None or re.fullmatch(self.pattern, value) is not None
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core.core_schema import no_info_after_validator_function

        # Anchors are pydantic's need: it searches, and so does JSON Schema, into which the pattern goes as it is. Its $
        # is the very end. Python's would let a newline follow, and therefore ``admits`` asks fullmatch.
        pattern = None if self.pattern is None else f"^{self.pattern}$"
        limits = {"pattern": pattern, "max_length": self.longest, "ge": self.least, "le": self.most}
        schema = {**handler(source), **{name: limit for name, limit in limits.items() if limit is not None}}
        return schema if self.check is None else no_info_after_validator_function(self.check, schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class LightDocument:
    """Base of light documents: frozen, arguments go by name; unknown keys are errors unless the config ignores them."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class TextValue(ABC):
    """Base of frozen values that documents write as one text: ``parse`` reads it, ``str`` writes it."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read the text. Raises ValueError if it is not such a value."""

    def document(self) -> str:
        """Return the form in which ``--json`` prints it."""
        return str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core.core_schema import no_info_after_validator_function, str_schema, to_string_ser_schema

        return no_info_after_validator_function(cls.parse, str_schema(), serialization=to_string_ser_schema())


D = TypeVar("D", bound=LightDocument)


class _Odd(Exception):  # noqa: N818 - no error: somebody else shall look
    """A value that is not plainly right."""


def read_light(kind: type[D], root: Any, *, path: str = "") -> D:
    """Read parsed JSON into a light document.

    Raises:
        DocumentError: the first thing that is wrong.
    """
    declared: Any = kind
    try:
        document: D = _reader(declared)(root)
    except _Odd:
        return _by_pydantic(kind, root, path)
    return document


def json_form(value: Any) -> Any:
    """Return a light document as JSON, without the fields that are None."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, TextValue):
        return str(value)
    if isinstance(value, LightDocument):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: json_form(item) for name, item in items if item is not None}
    if isinstance(value, dict):
        return {key: json_form(item) for key, item in value.items()}
    return [json_form(item) for item in value] if isinstance(value, tuple) else value


def _by_pydantic(kind: type[D], root: Any, path: str) -> D:
    from pydantic import TypeAdapter, ValidationError

    from skillpm.formats.document import model_errors

    try:
        return TypeAdapter(kind).validate_python(root)
    except ValidationError as error:
        raise model_errors(error, root, path=path)[0] from None


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return what reads a value of an annotated type, or raises _Odd."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _limited(_reader(arguments[0]), arguments[1:])
    if origin in (Union, UnionType):
        return _first_of([_reader(argument) for argument in arguments])
    if origin is tuple:
        return _tuple(_reader(arguments[0]))
    if origin is dict:
        return _mapping(_reader(arguments[0]), _reader(arguments[1]))
    if issubclass(kind, TextValue):
        return _parsed(kind)
    return _fields(kind) if is_dataclass(kind) else _scalar(kind)


def _scalar(kind: Any) -> Callable[[Any], Any]:
    assert kind in _SCALARS, f"a light document holds no {kind}"

    def read(value: Any) -> Any:
        # the type itself, no subclass: True is an int, and YAML's PlainScalar is a str that pydantic shall coerce
        if type(value) is not kind or (kind is str and not value.isascii() and not _encodable(value)):
            raise _Odd
        return value

    return read


def _parsed(kind: type[TextValue]) -> Callable[[Any], Any]:
    text = _scalar(str)

    def read(value: Any) -> Any:
        try:
            return kind.parse(text(value))
        except ValueError:
            raise _Odd from None

    return read


def _limited(inner: Callable[[Any], Any], limits: tuple[Limit, ...]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        content = inner(value)
        if not all(limit.admits(content) for limit in limits):
            raise _Odd
        return content

    return read


def _first_of(readers: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    # The types of a union exclude each other, since scalars are taken as they are: at most one reader succeeds, and so
    # the order does not matter, as it would for readers that coerce.
    def read(value: Any) -> Any:
        for reader in readers:
            try:
                return reader(value)
            except _Odd:
                continue
        raise _Odd

    return read


def _tuple(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise _Odd
        return tuple(map(item, value))

    return read


def _mapping(key: Callable[[Any], Any], item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _Odd
        return {key(name): item(content) for name, content in value.items()}

    return read


def _fields(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind, include_extras=True)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    ignores_more = kind.__pydantic_config__.get("extra") == "ignore"

    # Closures over what was looked up once: a lock has thousands of fields, and asking for their types again each
    # time would cost what is saved by leaving pydantic out.
    def read(root: Any) -> Any:
        if type(root) is not dict or any(name not in root for name in needed):
            raise _Odd
        more = root.keys() - readers.keys()
        if more and not ignores_more:
            raise _Odd
        return kind(**{name: readers[name](value) for name, value in root.items() if name not in more})

    return read


def _passes(check: Callable[[str], str], text: str) -> bool:
    try:
        return check(text) == text  # a check that writes the text otherwise is pydantic's to apply
    except ValueError:
        return False


def _encodable(text: str) -> bool:
    """Is it free of lone surrogates, which JSON can spell and UTF-8 cannot?"""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

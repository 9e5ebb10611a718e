"""A value and its origin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from skillpm.errors import DocumentError, SkillpmError

T = TypeVar("T")


class Level(Enum):
    """The kinds of origins, the nearest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    PROJECT = "project file"
    USER = "user file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a value: the flag, the variable, or file and line, such as ``skillpm.yaml:4``."""

    level: Level
    place: str = ""

    def __str__(self) -> str:
        return f"{self.level.value} {self.place}" if self.is_typed else self.place or self.level.value

    @property
    def is_typed(self) -> bool:
        """Is it valid for this invocation only, and in no file?"""
        return self.level in (Level.FLAG, Level.ENVIRONMENT)

    def document(self) -> str:
        """Return the form in which ``--json`` prints it."""
        return str(self)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Have an error about the value begin with its place, where that is in a file."""
        try:
            yield
        except DocumentError:
            raise
        except SkillpmError as error:
            if self.level in (Level.PROJECT, Level.USER):
                error.message = f"{self.place}: {error.message}"
            raise


DEFAULT = Origin(Level.DEFAULT)


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One value and its origin."""

    name: str
    value: T
    origin: Origin = DEFAULT

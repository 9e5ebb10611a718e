"""A program as its readers see it and its writer takes it. A skill keeps it in ``references/program.json``."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from skillpm.formats.document import Document, Format, Json

Text = Annotated[str, Field(max_length=4000)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


class Option(Document):
    """An option, or an operand, which has no names.

    Attributes:
        names: with their dashes, as the program lists them; empty for an operand.
        label: what stands for its value in a usage line: ``FILE``.
        value: does it take one? ``optional`` is ``--color[=WHEN]``.
        kind: of the value.
        choices: the only values.
        many: may it be given several times, or an operand have several words?
    """

    names: tuple[Word, ...] = ()
    label: Text = ""
    description: Text = ""
    value: Literal["none", "required", "optional"] = "none"
    kind: Literal["text", "integer", "number", "path", "folder", "glob", "regexp"] = "text"
    choices: tuple[Word, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    default: Json = None
    required: bool = False
    many: bool = False

    @property
    def flag(self) -> str:
        """The name by which it is written: the first long one; empty for an operand."""
        return next((name for name in self.names if name.startswith("--")), max(self.names, key=len, default=""))

    @property
    def title(self) -> str:
        """What a person calls it: ``--no-browser``, or ``FILE``."""
        return self.flag or self.label

    @property
    def name(self) -> str:
        """The name of its argument: ``no_browser``."""
        name = _NOT_A_NAME.sub("_", self.title.lower()).strip("_") or "value"
        return name if name[0].isalpha() else f"option_{name}"


class Exclusion(Document):
    """Options of which at most one may be given.

    Attributes:
        names: of their arguments; one alone stands with nothing else, as in ``git merge --abort``.
        required: must one be given?
    """

    names: tuple[Word, ...]
    required: bool = False


class Example(Document):
    """A command line that the documentation of the program shows, and what it says of it."""

    text: Text
    line: Text


class Command(Document):
    """A program without subcommands, or one subcommand.

    Attributes:
        words: of the subcommand, such as ``("remote", "add")``; empty for the program itself.
        options: and operands, the latter in their order.
        operands_first: do they stand before the options, as in ``find [path...] [expression]``?
    """

    words: tuple[Word, ...] = ()
    description: Text = ""
    options: tuple[Option, ...] = ()
    operands_first: bool = False
    exclusions: tuple[Exclusion, ...] = ()
    examples: tuple[Example, ...] = ()


class Program(Document):
    """A program.

    Attributes:
        source: what was read.
        commands: those that were read.
        names: all subcommands that the program lists, read or not.
    """

    program: Format = 1
    name: Word
    version: Text = ""
    description: Text = ""
    source: Literal["click", "argparse", "help"] = "help"
    commands: tuple[Command, ...]
    names: tuple[Word, ...] = ()

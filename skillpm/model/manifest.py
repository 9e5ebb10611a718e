"""The two documents that describe a skill: SKILL.md's frontmatter (the open format) and skill.yaml (the package)."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from skillpm.errors import UsageError
from skillpm.formats.document import Document, Format, PlacedValueError
from skillpm.model.python_requirement import python_requirement
from skillpm.model.requirement import Requirement, parse_version


def _one_line(text: str) -> str:
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError("has a line break or another control character")
    return text


Text = Annotated[str, Field(max_length=4096), AfterValidator(_one_line)]


def _python_requirement(text: str) -> str:
    python_requirement(text)
    return text


class Frontmatter(Document):
    """SKILL.md's frontmatter as the Agent Skills specification has it; only name and description are required."""

    name: str
    description: str
    license: str | None = None
    compatibility: str | None = None
    metadata: dict[str, str] | None = None
    allowed_tools: str | None = Field(default=None, alias="allowed-tools")


class Permissions(Document):
    """What a skill says that its code and its tools need: the network, and programs to run, by name."""

    network: bool = False
    run: tuple[str, ...] = ()

    def beyond(self, other: Permissions) -> Permissions:
        """Return what these allow and others do not."""
        programs = tuple(name for name in self.run if name not in other.run)
        return Permissions(network=self.network and not other.network, run=programs)


class Promises(Document):
    """What a skill's verdicts keep to; ``skillpm selftest`` holds them to it. The defaults are those of a contract.

    Attributes:
        idle_at_most: the most that an answer is worth which does nothing, or cannot be run.
        wrong_at_most: the most that a runnable answer is worth which is not what was asked.
        seconds: the longest that one verdict takes.
    """

    idle_at_most: Annotated[float, Field(ge=0, lt=1)] = 0.1
    wrong_at_most: Annotated[float, Field(ge=0, lt=1)] = 0.8
    seconds: Annotated[float, Field(gt=0, le=60)] = 0.5


class Manifest(Document):
    """skill.yaml: what a package manager needs to know.

    ``adapter`` is set where the package is a trained adapter, which no agent reads: its base model, as every machine
    knows it.
    """

    manifest: Format
    version: str
    adapter: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    requires: dict[str, str] = Field(default_factory=dict)
    python: tuple[Annotated[str, AfterValidator(_python_requirement)], ...] = ()
    hooks: Annotated[int, Field(ge=1)] = 1
    permissions: Permissions = Permissions()
    verifier: Promises = Promises()
    binaries: tuple[Text, ...] = ()
    keywords: tuple[Text, ...] = ()
    homepage: Text | None = None
    repository: Text | None = None
    authors: tuple[Text, ...] = ()

    @field_validator("version")
    @classmethod
    def _is_version(cls, value: str) -> str:
        try:
            return str(parse_version(value))
        except UsageError as error:
            raise PlacedValueError(error.message, hint=error.hint) from None

    @field_validator("requires")
    @classmethod
    def _are_requirements(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            return {name: Requirement.of(name, specifier).specifier for name, specifier in value.items()}
        except UsageError as error:
            raise PlacedValueError(error.message, hint=error.hint) from None

    def requirements(self) -> tuple[Requirement, ...]:
        """Return the skills that this one needs, by name."""
        return tuple(Requirement(name, specifier) for name, specifier in sorted(self.requires.items()))

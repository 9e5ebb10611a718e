"""What a skill's worker says that the skill contributes, asked once when the worker starts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillpm.formats.document import Document
from skillpm.model.contract import Tool
from skillpm.model.suite import Suite
from skillpm.model.verdict import Number


class Reply(Document):
    """The part that all replies have; ``error`` is a sentence where the request failed."""

    number: int
    error: str | None = None


class Named(Document):
    """A contribution by name and the file that brought it."""

    name: str
    plugin: str
    default: bool = False


class Called(Document):
    """One call of a hook inside the worker: by which plugin, how long it took, and what came of it in words."""

    plugin: Annotated[str, Field(max_length=100)]
    hook: Annotated[str, Field(max_length=100)]
    seconds: Number
    outcome: Annotated[str, Field(max_length=1000)]


class Described(Reply):
    """What a skill contributes, asked once when its worker starts.

    Attributes:
        calls: of its hooks; these are told of where loading failed, too.
        verifier: the file that judges: ``plugin.py``, ``verifier.py``, ``contract.yaml``, or empty.
    """

    calls: Annotated[tuple[Called, ...], Field(max_length=100)] = ()
    verifier: str = ""
    rewards: tuple[Named, ...] = ()
    rules: tuple[Named, ...] = ()
    suites: tuple[tuple[str, Suite], ...] = ()
    tools: tuple[tuple[str, Tool], ...] = ()
    hooks: tuple[str, ...] = ()

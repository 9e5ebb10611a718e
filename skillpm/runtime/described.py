"""What a skill's worker says that the skill's code contributes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillpm.contract.rewards import BUILTIN_FUNCTIONS
from skillpm.formats.document import Document
from skillpm.model.contract import Tool
from skillpm.model.suite import Suite
from skillpm.model.verdict import Number
from skillpm.runtime.conventions import CONVENTIONS


class Reply(Document):
    """The part that all replies have; ``error`` is a sentence where the request failed."""

    number: int
    error: str | None = None


MAX_CONTRIBUTIONS = 256  # contributions of one kind


class Named(Document):
    """A contribution by name and the file that brought it."""

    name: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.-]+$")]
    plugin: Annotated[str, Field(max_length=100)]
    default: bool = False


class Called(Document):
    """One call of a hook inside the worker: by which plugin, how long it took, and what came of it in words."""

    plugin: Annotated[str, Field(max_length=100)]
    hook: Annotated[str, Field(max_length=100)]
    seconds: Number
    outcome: Annotated[str, Field(max_length=1000)]


class Described(Reply):
    """What a skill's code contributes beside its plain files, asked once when its worker starts.

    Attributes:
        calls: of its hooks; these are told of where loading failed, too.
        verifier: the file that judges: ``plugin.py``, ``verifier.py``, ``contract.yaml``, or empty.
        observes: has the verifier an environment?
    """

    calls: Annotated[tuple[Called, ...], Field(max_length=100)] = ()
    verifier: str = ""
    observes: bool = False
    rewards: Annotated[tuple[Named, ...], Field(max_length=MAX_CONTRIBUTIONS)] = ()
    rules: Annotated[tuple[Named, ...], Field(max_length=MAX_CONTRIBUTIONS)] = ()
    suites: Annotated[tuple[tuple[str, Suite], ...], Field(max_length=MAX_CONTRIBUTIONS)] = ()
    tools: Annotated[tuple[tuple[str, Tool], ...], Field(max_length=MAX_CONTRIBUTIONS)] = ()
    hooks: Annotated[tuple[str, ...], Field(max_length=MAX_CONTRIBUTIONS)] = ()

    def payable(self, *, has_code: bool) -> dict[str, str]:
        """Return the rewards that this worker may pay, with the file that brought each.

        Code of a skill could lie about a built-in reward, so the host computes those. A worker that runs no such code
        is ours, and pays them itself: the host would have to read each answer a second time.
        """
        if not has_code:
            return dict.fromkeys(BUILTIN_FUNCTIONS, CONVENTIONS)
        return {item.name: item.plugin for item in self.rewards if item.name not in BUILTIN_FUNCTIONS}

"""An agent: its folders for skills, and its budget for their names and descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CHARACTERS_A_TOKEN = 4  # the rule of thumb that the agents themselves use


class Overflow(StrEnum):
    """The way in which an agent cuts a list that exceeds its budget."""

    FORGET = "forget"  # keeps every name, drops the descriptions of the least used skills
    SHORTEN = "shorten"  # cuts all descriptions to one length; drops skills if the names alone are too many
    CUT = "cut"  # ends the list at the budget; the skills after it are not listed


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of the list of names and descriptions that an agent shows its model.

    Attributes:
        characters: of the whole list, for the usual context window.
        share: of the context window, or None for a fixed budget.
        description: the maximum characters of one description.
        entry: the format of a skill, with ``{name}``, ``{description}`` and ``{location}``.
        overflow: the way in which a longer list is cut.
    """

    characters: int
    share: float | None
    description: int
    entry: str
    overflow: Overflow

    def limit(self, window: int | None) -> int:
        """Return the characters of the list for a context window in tokens, or for the usual one."""
        if self.share is None or window is None:
            return self.characters
        return round(window * CHARACTERS_A_TOKEN * self.share)


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent.

    Attributes:
        name: the value of ``--agent``.
        project: its skills' folder in a project, posix.
        user: its skills' folder in a home folder, or None.
        signs: of its use: a path in the project, ``~/…`` in the home folder, ``$NAME`` for a variable's path.
        also: other folders of a project that it reads.
    """

    name: str
    title: str
    project: str
    user: str | None
    signs: tuple[str, ...]
    also: tuple[str, ...] = ()
    budget: Budget | None = None

    def folder(self, *, user: bool) -> str | None:
        """Return its folder for skills, relative to the home folder or to a project."""
        return self.user if user else self.project

    def reads(self, *, user: bool) -> tuple[str, ...]:
        """Return all folders that it reads there."""
        folder = self.folder(user=user)
        return ((folder,) if folder else ()) + (() if user else self.also)

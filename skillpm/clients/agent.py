"""An agent, as far as its skills go: where it looks for them, and how much of its context it gives to their catalog."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CHARACTERS_A_TOKEN = 4  # the rule of thumb by which the agents themselves turn a share of tokens into characters


class Overflow(StrEnum):
    """What an agent does with a catalog that is larger than its budget."""

    FORGET = "forget"  # every name stays, the descriptions of the least used skills go
    SHORTEN = "shorten"  # all descriptions are cut to one length; where names alone are too many, skills go
    CUT = "cut"  # the list ends where the budget does; the skills after that are not seen


@dataclass(frozen=True, slots=True)
class Budget:
    """How much text an agent gives to the list of names and descriptions that it shows its model.

    Attributes:
        characters: for the whole list, where the context window is not told.
        share: of the context window, or None where the budget is fixed.
        description: characters of one description that are shown at most.
        entry: how a skill is listed, with ``{name}``, ``{description}`` and ``{location}``.
        overflow: what happens to a longer list.
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
        name: what ``--agent`` takes.
        title: what people call it.
        project: its skills' folder in a project, posix.
        user: its skills' folder in a home folder, or None where it has none.
        signs: that it is used here: a path in the project, ``~/…`` in the home folder, ``$NAME/…`` where that is set.
        also: other folders of a project that it reads.
        budget: of its catalog, where known.
    """

    name: str
    title: str
    project: str
    user: str | None
    signs: tuple[str, ...]
    also: tuple[str, ...] = ()
    budget: Budget | None = None

    def folder(self, *, user: bool) -> str | None:
        """Return where it looks for skills, relative to the home folder or to a project."""
        return self.user if user else self.project

    def reads(self, *, user: bool) -> tuple[str, ...]:
        """Return all folders that it reads there."""
        folder = self.folder(user=user)
        return ((folder,) if folder else ()) + (() if user else self.also)

"""What stands in the lock of another skill manager, entry by entry."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ForeignLock", "Left", "Taken"]


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry that can be required.

    Attributes:
        name: what the other manager calls it.
        requirement: what `skillpm install` is given.
        pinned: does it name one commit, or content that lies here?
    """

    name: str
    requirement: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class Left:
    """An entry that cannot be taken, why, and what a person can do."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ForeignLock:
    """All entries of a lock; ``form`` is the name that its manager gives to the file."""

    form: str
    taken: tuple[Taken, ...]
    left: tuple[Left, ...]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "format": self.form,
            "taken": [asdict(item) for item in self.taken],
            "left": [asdict(item) for item in self.left],
        }

"""Finds locked skills by what a person types."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import UnknownSkillError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.name import near_names

__all__ = ["locked_skills"]


def locked_skills(lock: Lock, names: Sequence[str]) -> list[LockedSkill]:
    """Return the entries of these names, each once; all entries where none is given.

    Raises:
        UnknownSkillError: a name is not in the lock; the hint has near names.
    """
    entries = {entry.name: entry for entry in lock.skills}
    for name in names:
        if name not in entries:
            near = " or ".join(f"`{known}`" for known in near_names(name, entries))
            raise UnknownSkillError(
                f"no skill `{name[:80]}` is installed", hint=f"did you mean {near}?" if near else "see `skillpm list`"
            )
    return [entries[name] for name in dict.fromkeys(names or entries)]

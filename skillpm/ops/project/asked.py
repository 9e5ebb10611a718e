"""The arguments of ``skillpm install``, parsed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skillpm.errors import UsageError
from skillpm.index.forge import may_be_repository
from skillpm.index.source import is_path
from skillpm.model.requirement import Requirement


@dataclass(frozen=True, slots=True)
class Asked:
    """Requested skills; none by default.

    Attributes:
        requirements: skills by name, with their allowed versions.
        places: folders, archives, repositories and sites with skills, as typed.
        names: the skills to take from the places; if empty, each place must have exactly one.
        every: take every skill of the places.
        undecided: ``owner/repo``, which is a skill of a registry or a repository; ``settled`` decides.
    """

    requirements: tuple[Requirement, ...] = ()
    places: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    every: bool = False
    undecided: tuple[str, ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str], names: Sequence[str] = (), *, every: bool = False) -> Asked:
        """Parse the arguments ``texts``, the values ``names`` of ``--skill`` and the flag ``--all`` (``every``).

        Raises:
            UsageError: a text is neither a requirement nor a place, or ``--skill`` or ``--all`` has no place.
        """
        places = tuple(text for text in texts if is_path(text))
        undecided = tuple(text for text in texts if text not in places and may_be_repository(text))
        requirements = tuple(Requirement.parse(text) for text in texts if text not in {*places, *undecided})
        if (names or every) and not (places or undecided):
            raise UsageError(
                "`--skill` and `--all` need a source",
                hint="add `owner/repo`, a folder, a git+URL or a site, or name skills without `--skill`",
            )
        return cls(requirements, places, tuple(names), every, undecided)

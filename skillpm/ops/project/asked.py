"""What a person typed after ``skillpm install``, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skillpm.errors import UsageError
from skillpm.index.source import is_path
from skillpm.model.requirement import Requirement


@dataclass(frozen=True, slots=True)
class Asked:
    """Skills that somebody asks for; nothing by default.

    Attributes:
        requirements: skills by their names, with the versions that will do.
        places: folders, archives, repositories and sites that hold skills, as they were typed.
        names: which skills of the places; where empty, the only one that each has.
        every: take every skill of the places.
    """

    requirements: tuple[Requirement, ...] = ()
    places: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    every: bool = False

    @classmethod
    def read(cls, texts: Sequence[str], names: Sequence[str] = (), *, every: bool = False) -> Asked:
        """Tell requirements from places.

        Args:
            texts: what was typed.
            names: what ``--skill`` was given.
            every: was there ``--all``?

        Raises:
            UsageError: a text is neither a requirement nor a place, or skills are chosen of no place.
        """
        requirements = tuple(Requirement.parse(text) for text in texts if not is_path(text))
        places = tuple(text for text in texts if is_path(text))
        if (names or every) and not places:
            raise UsageError(
                "`--skill` and `--all` choose among the skills of a place, and no place is given",
                hint="give a folder, a git+URL or a site, or name skills without `--skill`",
            )
        return cls(requirements, places, tuple(names), every)

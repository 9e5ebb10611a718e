"""The chosen skills of a place. A place is a folder, an archive, a commit or a site, and may have many skills."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skillpm.errors import DocumentError, IntegrityError, LayoutError, UsageError
from skillpm.index.path import TreeIndex
from skillpm.index.source import open_skills
from skillpm.model.name import did_you_mean
from skillpm.ops.project.fetch import refuse_broken

if TYPE_CHECKING:
    from skillpm.model.ports import Index
    from skillpm.ops.context import Context
    from skillpm.ops.project.asked import Asked

_SHOWN = 40  # names in one message


@dataclass(frozen=True, slots=True)
class _Place:
    """The skills of a place: the indexes of each name, more than one for a duplicate, and the broken skills."""

    text: str
    skills: dict[str, list[Index]]
    broken: tuple[str, ...]


def open_places(context: Context, asked: Asked) -> tuple[dict[str, Index], tuple[str, ...]]:
    """Open each place and choose the requested skills.

    Returns:
        The index of each chosen name, and warnings about skipped broken skills.

    Raises:
        UsageError: a place has several skills and none is chosen, or a name is unknown or duplicate.
        LayoutError: the only skill of a place cannot be installed.
        SkillpmError: whatever opening a place raises.
    """
    places = [_look(context, text) for text in asked.places]
    _refuse_missing(places, asked.names)
    indexes = {name: _only(place, name) for place in places for name in _chosen_of(place, asked)}
    broken = () if asked.names else (reason for place in places for reason in place.broken)
    return indexes, tuple(f"skipped: {reason}" for reason in broken)


def _look(context: Context, text: str) -> _Place:
    indexes = open_skills(text, context.around)
    skills: dict[str, list[Index]] = {}
    broken: list[str] = []
    for index in indexes:
        try:
            for name in index.names():
                skills.setdefault(name, []).append(index)
        except (LayoutError, DocumentError, IntegrityError) as error:
            if len(indexes) == 1:
                _raise_all(index, text)
                raise
            broken.append(f"{index.name}: {error.message}")
    return _Place(text, skills, tuple(broken))


def _chosen_of(place: _Place, asked: Asked) -> list[str]:
    if asked.names:
        return [name for name in asked.names if name in place.skills]
    if asked.every or len(place.skills) == 1:
        return list(place.skills)
    if not place.skills:
        raise LayoutError(f"{place.text} has no installable skill", hint="; ".join(place.broken[:3]))
    names, shown = sorted(place.skills), shlex.quote(place.text)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise UsageError(
        f"{place.text} has {len(names)} skills: {', '.join(names[:_SHOWN])}{more}",
        hint=f"run `skillpm install {shown} --skill {names[0]}`, or `skillpm install {shown} --all` for all of them",
        names=names,
    )


def _refuse_missing(places: Sequence[_Place], names: Sequence[str]) -> None:
    known = {name for place in places for name in place.skills}
    missing = [name for name in names if name not in known]
    if missing:
        broken = [reason for place in places for reason in place.broken]
        there = f"it has {', '.join(sorted(known)[:_SHOWN]) or 'no skills'}"
        raise UsageError(
            f"there is no skill `{missing[0]}` in {' or in '.join(place.text for place in places)}",
            hint=did_you_mean(missing[0], known, "; ".join([there, *broken[:3]])),
            names=missing,
        )


def _only(place: _Place, name: str) -> Index:
    indexes = place.skills[name]
    if len(indexes) > 1:
        raise UsageError(
            f"{place.text} has two skills called `{name}`: {' and '.join(index.name for index in indexes[:2])}",
            hint="name one of the two folders; in a git repository, use `#subdirectory=…`",
        )
    return indexes[0]


def _raise_all(index: Index, text: str) -> None:
    """Raise all findings of a tree that cannot become a release; ``fetch`` checks the others."""
    if isinstance(index, TreeIndex):
        from skillpm.layout.check import check

        report = check(index.tree, path=text, folder=None)
        refuse_broken(report, report.name or text, final=True)

"""Which skills of a place are meant: a place is a folder, an archive, a commit or a site, and may hold many."""

from __future__ import annotations

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

_SHOWN = 40  # names in one message


@dataclass(frozen=True, slots=True)
class Picks:
    """Which skills of the places are wanted: those of these names, every one, or the only one that each has."""

    names: tuple[str, ...] = ()
    every: bool = False


UNSAID = Picks()


@dataclass(frozen=True, slots=True)
class Picked:
    """The index of each chosen name, and sentences about skills that were left out because they are broken."""

    indexes: dict[str, Index]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """What a place holds: indexes by name, more than one where a name stands twice, and what is broken."""

    text: str
    skills: dict[str, list[Index]]
    broken: tuple[str, ...] = ()


def pick(context: Context, places: Sequence[str], picks: Picks) -> Picked:
    """Look into each place and take what is wanted.

    Raises:
        UsageError: nothing says which of several skills, a wanted name is nowhere, or stands twice.
        LayoutError: the only skill of a place cannot be installed.
        SkillpmError: whatever opening a place raises.
    """
    if (picks.names or picks.every) and not places:
        raise UsageError(
            "`--skill` and `--all` choose among the skills of a place, and no place is given",
            hint="give a folder, a git+URL or a site, or name skills without `--skill`",
        )
    found = [_look(context, text) for text in places]
    _refuse_missing(found, picks.names)
    chosen: dict[str, Index] = {}
    warnings: list[str] = []
    for place in found:
        for name in _picked_of(place, picks):
            chosen[name] = _only(place, name)
        if not picks.names:
            warnings += [f"left out: {reason}" for reason in place.broken]
    return Picked(chosen, tuple(warnings))


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
                _tell_all(index, text)
                raise
            broken.append(f"{index.name}: {error.message}")
    return _Place(text, skills, tuple(broken))


def _picked_of(place: _Place, picks: Picks) -> list[str]:
    if picks.names:
        return [name for name in picks.names if name in place.skills]
    if picks.every or len(place.skills) == 1:
        return list(place.skills)
    if not place.skills:
        raise LayoutError(f"{place.text} has no skill that can be installed", hint="; ".join(place.broken[:3]))
    names = sorted(place.skills)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise UsageError(
        f"{place.text} has {len(names)} skills: {', '.join(names[:_SHOWN])}{more}",
        hint=f"add `--skill {names[0]}`, as often as you like, or `--all`",
        names=names,
    )


def _refuse_missing(found: Sequence[_Place], names: Sequence[str]) -> None:
    known = {name for place in found for name in place.skills}
    missing = [name for name in names if name not in known]
    if missing:
        broken = [reason for place in found for reason in place.broken]
        there = f"there are {', '.join(sorted(known)[:_SHOWN]) or 'none'}"
        raise UsageError(
            f"there is no skill `{missing[0]}` in {' or in '.join(place.text for place in found)}",
            hint=did_you_mean(missing[0], known, "; ".join([there, *broken[:3]])),
            names=missing,
        )


def _only(place: _Place, name: str) -> Index:
    indexes = place.skills[name]
    if len(indexes) > 1:
        raise UsageError(
            f"{place.text} has two skills called `{name}`: {' and '.join(index.name for index in indexes[:2])}",
            hint="give the one folder that you mean, `#subdirectory=…` in a git repository",
        )
    return indexes[0]


def _tell_all(index: Index, text: str) -> None:
    """Tell all that is wrong with a tree of which no release can be made; ``fetch`` checks the others."""
    if isinstance(index, TreeIndex):
        from skillpm.layout.check import check

        report = check(index.tree, path=text, folder=None)
        refuse_broken(report, report.name or text, final=True)

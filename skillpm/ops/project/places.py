"""The chosen skills of a place. A place is a folder, an archive, a commit or a site, and may have many skills.

With ``--all``, a place gives what it can: two folders with the same content are one skill, two skills of one name get
the names of their plugins or folders in front, and what cannot be taken is left out with its reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import DocumentError, IntegrityError, LayoutError, UsageError
from skillpm.formats.listed import listed
from skillpm.index.path import TreeIndex
from skillpm.index.source import open_skills
from skillpm.model.name import did_you_mean, is_name
from skillpm.ops.project.fetch import allow_flags, broken, refuse_broken
from skillpm.trust.allowance import NOTHING, Allowance

if TYPE_CHECKING:
    from skillpm.model.ports import Index
    from skillpm.ops.context import Context
    from skillpm.ops.project.asked import Asked

_SHOWN = 40  # names in one message
_NO_NAME = re.compile("[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A skill that ``--all`` did not take: its name, or its place where it has none, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The chosen skills of all places: the index of each name, and what was left out."""

    indexes: dict[str, Index] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """The skills of a place: the indexes of each name, more than one for a duplicate, and the broken skills."""

    text: str
    skills: dict[str, list[Index]]
    broken: tuple[LeftOut, ...]


def open_places(context: Context, asked: Asked, allow: Allowance = NOTHING) -> Opened:
    """Open each place and choose the requested skills.

    Raises:
        UsageError: a place has several skills and none is chosen, or a name is unknown or duplicate.
        LayoutError: the only skill of a place cannot be installed, or no skill of a place can.
    """
    places = [_look(context, text) for text in asked.places]
    for text, sentences in context.around.overlooked.items() if asked.every else ():
        for sentence in sentences:
            context.note(f"{text}: {sentence}")
    _refuse_missing(context, places, asked.names, broken_too=False)
    _refuse_missing(context, places, asked.skip, broken_too=True)
    indexes: dict[str, Index] = {}
    left_out: list[LeftOut] = []
    for place in places:
        chosen = _all_of(context, place, asked, allow, left_out) if asked.every else _chosen_of(place, asked)
        for name, index in chosen.items():
            other = indexes.setdefault(name, index)
            if not _same([other, index]):
                raise _two(name, [other, index])
    return Opened(indexes, tuple(left_out))


def _look(context: Context, text: str) -> _Place:
    indexes = open_skills(text, context.around)
    skills: dict[str, list[Index]] = {}
    bad: list[LeftOut] = []
    for index in indexes:
        try:
            for name in index.names():
                skills.setdefault(name, []).append(index)
        except (LayoutError, DocumentError, IntegrityError) as error:
            if len(indexes) == 1:
                _raise_all(context, index, text)
                raise
            bad.append(_broken(index, error.message))
    named = {}
    for name, several in skills.items():
        named.update(_with_namespaces(name, _distinct(several)))
    return _Place(text, named, tuple(bad))


def _distinct(indexes: list[Index]) -> list[Index]:
    """Return the first of those with the same content, and the others."""
    return [index for place, index in enumerate(indexes) if not any(_same([index, other]) for other in indexes[:place])]


def _same(indexes: Sequence[Index]) -> bool:
    trees = [
        page.releases[0].tree if (page := index.page(index.names()[0])) else None
        for index in indexes
        if isinstance(index, TreeIndex)
    ]
    return all(index is indexes[0] for index in indexes) or (len(trees) == len(indexes) and len(set(trees)) == 1)


def _with_namespaces(name: str, indexes: list[Index]) -> dict[str, list[Index]]:
    """Return the indexes of one name, by ``namespace/name`` where something tells several apart.

    That is the plugin, or else the nearest folder above the skill's own that is another for each, or else the skill's
    own folder, with the one above it if need be. At most one skill may have no namespace, such as the one that is not
    in a plugin, or the one whose folder has its name.
    """
    trees = [index for index in indexes if isinstance(index, TreeIndex)]
    if len(trees) < 2 or len(trees) < len(indexes):
        return {name: indexes}
    steps = [index.within.split("/")[::-1] for index in trees]
    own = ["" if folder == name else folder for folder, *_ in steps]
    above = zip_longest(*(folders[1:] for folders in steps), fillvalue="")
    rows = [[index.plugin for index in trees], *above, own, ["-".join(folders[1::-1]) for folders in steps]]
    for row in rows:
        spaces = [_NO_NAME.sub("-", space.lower()).strip("-") for space in row]
        if len(set(spaces)) == len(spaces) and all(is_name(f"{space}-{name}") for space in spaces if space):
            return {f"{space}/{name}".lstrip("/"): [index] for space, index in zip(spaces, trees, strict=True)}
    return {name: indexes}


def _all_of(
    context: Context, place: _Place, asked: Asked, allow: Allowance, left_out: list[LeftOut]
) -> dict[str, Index]:
    """Return the skills of a place that can be taken; add the others, with their reasons, to ``left_out``."""
    own = [item for item in place.broken if item.name not in asked.skip]
    taken = {}
    for name, indexes in sorted(place.skills.items()):
        if {name, name.rpartition("/")[2]} & set(asked.skip):
            continue
        reason = _two(name, indexes).message if len(indexes) > 1 else _refusal(context, name, indexes[0], allow)
        if reason:
            own.append(LeftOut(name, reason))
        else:
            taken[name] = indexes[0]
    if own and not taken:
        shown = "; ".join(f"{item.name}: {item.reason}" for item in own[:_SHOWN])
        hint = "the author of the skills has to fix this"
        if Path(place.text).is_dir():
            hint = f"run `skillpm validate {shlex.quote(place.text)}`"
        raise LayoutError(f"{place.text} has no installable skill: {shown}", hint=hint)
    left_out += own
    return taken


def _refusal(context: Context, name: str, index: Index, allow: Allowance) -> str:
    """Return why an install would refuse a skill; what this machine has taken before is not checked again."""
    if not isinstance(index, TreeIndex):
        return ""
    page = index.page(name)
    if page is not None and context.store.verify(page.releases[0].tree):
        return ""
    report = index.report.letting(allow.codes(name) | allow.codes(name.rpartition("/")[2]))
    if report.ok:
        return ""
    flags = allow_flags(report, name)
    return broken(report) + (f"; to accept it, add `{flags}`" if flags else "")


def _chosen_of(place: _Place, asked: Asked) -> dict[str, Index]:
    if asked.names:
        return {name: _only(place, name) for name in asked.names if name in _names(place)}
    if len(place.skills) == 1:
        return {name: _only(place, name) for name in place.skills}
    if not place.skills:
        reasons = "; ".join(f"{item.name}: {item.reason}" for item in place.broken[:3])
        raise LayoutError(f"{place.text} has no installable skill", hint=reasons)
    names, shown = sorted(place.skills), shlex.quote(place.text)
    raise UsageError(
        f"{place.text} has {len(names)} skills: {listed(names, _SHOWN)}",
        hint=f"run `skillpm install {shown} --skill {names[0]}`, or `skillpm install {shown} --all` for all of them",
        names=names,
    )


def _names(place: _Place) -> set[str]:
    """Return the names by which a skill of a place can be chosen: with the plugin and without."""
    return {*place.skills, *(name.rpartition("/")[2] for name in place.skills)}


def _refuse_missing(context: Context, places: Sequence[_Place], names: Sequence[str], *, broken_too: bool) -> None:
    known = {name for place in places for name in _names(place)}
    known |= {item.name for place in places for item in place.broken if broken_too}
    missing = [name for name in names if name not in known]
    if missing:
        bad = [f"{item.name}: {item.reason}" for place in places for item in place.broken]
        passed_over = [sentence for sentences in context.around.overlooked.values() for sentence in sentences]
        there = f"it has {', '.join(sorted(known)[:_SHOWN]) or 'no skills'}"
        raise UsageError(
            f"there is no skill `{missing[0]}` in {' or in '.join(place.text for place in places)}",
            hint=did_you_mean(missing[0], known, "; ".join([there, *bad[:3], *passed_over[:3]])),
            names=missing,
        )


def _only(place: _Place, name: str) -> Index:
    of_plugins = [other for other in place.skills if other.endswith(f"/{name}")]
    if name not in place.skills and of_plugins:
        raise UsageError(
            f"{place.text} has {len(of_plugins)} skills called `{name}`: {', '.join(of_plugins)}",
            hint=f"add `--skill {of_plugins[0]}`",
        )
    if len(place.skills[name]) > 1:
        raise _two(name, place.skills[name], f"{place.text} has ")
    return place.skills[name][0]


def _two(name: str, indexes: Sequence[Index], where: str = "") -> UsageError:
    return UsageError(
        f"{where}two skills called `{name}`: {' and '.join(index.name for index in indexes[:2])}",
        hint="name the folder of one of them, such as `owner/repo/folder`; in a git address, use `#subdirectory=…`",
    )


def _broken(index: Index, message: str) -> LeftOut:
    """Return a tree that is no release, with everything that is wrong with it, else with the first error's message."""
    if not isinstance(index, TreeIndex) or index.report.ok:
        return LeftOut(index.name, message)
    where = index.within or index.name
    own = index.report.name
    return LeftOut(own or where, f"{where}: {broken(index.report)}" if own else broken(index.report))


def _raise_all(context: Context, index: Index, text: str) -> None:
    """Raise all findings of a tree that cannot become a release, and what was passed over; ``fetch`` checks others."""
    if not isinstance(index, TreeIndex):
        return
    try:
        refuse_broken(index.report, index.report.name or text, final=True)
    except LayoutError as error:
        error.hint = "; ".join(filter(None, (error.hint, *context.around.overlooked.get(text, [])[:3])))
        raise

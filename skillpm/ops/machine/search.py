"""``skillpm search``: skills by name and summary, in every index that lists its skills.

Ranks, best first: the name itself, names that begin with the text, names in which words begin with every word of the
text, and summaries in which they do. A registry behind a server may search itself, also in keywords, tools and READMEs,
and for misspelt words; what only it knows of follows, in its order. Last are names with the text within their words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from skillpm.errors import RegistryError, SkillpmError, UsageError
from skillpm.index.bundled import BundledIndex
from skillpm.model.name import near_names
from skillpm.model.ports import RankingIndex, SearchableIndex
from skillpm.model.release import Listing
from skillpm.ops.context import Context
from skillpm.ops.project.list import ListedSkill, list_project
from skillpm.ops.project.other_registries import logged_in_elsewhere

MAX_TEXT = 200  # characters
_WORD = re.compile(r"[\w-]+")


class Rank(IntEnum):
    """The quality of a match, best first."""

    EXACT = 0
    PREFIX = 1
    NAME = 2
    SUMMARY = 3
    TEXT = 4
    WITHIN = 5


@dataclass(frozen=True, slots=True)
class Hit:
    """A matching skill, its index, and the version that is installed here, or None."""

    rank: Rank
    name: str
    version: str
    summary: str
    source: str
    installed: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {**asdict(self), "rank": self.rank.name.lower()}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The outcome of a search.

    Attributes:
        hits: best first, then by name.
        near: names similar to the text, if there is no hit.
        failures: of indexes, by their name.
        unasked: registries in which this person is logged in and that were not searched, if there is no hit.
    """

    hits: tuple[Hit, ...]
    near: tuple[str, ...]
    failures: dict[str, SkillpmError]
    unasked: tuple[str, ...] = ()


def search(context: Context, texts: Sequence[str], has: Collection[str] = ()) -> SearchResult:
    """Return the skills that match all words, of the indexes and of this project.

    A name in several indexes comes from the one that an install uses. ``has`` are names of ``SEARCH_FILTERS``; only a
    registry's server knows them, so the others are left out.

    Raises:
        UsageError: there is no word, or the text is too long.
        RegistryError: this version cannot read a registry.
    """
    text = " ".join(texts)
    if len(text) > MAX_TEXT:
        raise UsageError(f"the text has {len(text)} characters", hint=f"search for at most {MAX_TEXT}")
    words = text.casefold().split()
    if not words:
        raise UsageError("the search text is empty", hint="add a word, such as `skillpm search logs`")
    listed: dict[str, tuple[Listing, str, Rank | None]] = {}
    failures: dict[str, SkillpmError] = {}
    for index in context.index.indexes:
        if has and isinstance(index, BundledIndex):
            continue
        if not isinstance(index, SearchableIndex):
            failures[index.name] = RegistryError(
                "it does not list its skills", hint="use `skillpm show NAME` or `skillpm install NAME`"
            )
            continue
        try:
            for item, fit in _fitting(index, text, words, has):
                listed.setdefault(item.name, (item, index.name, fit))
        except SkillpmError as error:
            failures[index.name] = error
    installed = _installed(context, failures)
    for name, skill in installed.items() if not has else ():
        item = Listing(name, skill.version, skill.description)
        listed.setdefault(name, (item, skill.source, rank(words, item)))
    hits = [
        Hit(fit, item.name, item.version, item.summary, source, getattr(installed.get(item.name), "version", None))
        for item, source, fit in listed.values()
        if fit is not None
    ]
    hits.sort(key=lambda hit: (hit.rank, hit.name if hit.rank != Rank.TEXT else ""))
    near = () if hits else near_names("-".join(words), listed)
    return SearchResult(tuple(hits), tuple(near), failures, () if hits else logged_in_elsewhere(context))


def _installed(context: Context, failures: dict[str, SkillpmError]) -> dict[str, ListedSkill]:
    """Return the locked skills by name: also those that no registry lists, such as a folder's or a repository's."""
    try:
        return {skill.name: skill for skill in list_project(context).skills if skill.state != "surplus"}
    except SkillpmError as error:
        failures["skillpm.lock"] = error
        return {}


def _fitting(
    index: SearchableIndex, text: str, words: Sequence[str], has: Collection[str]
) -> Iterator[tuple[Listing, Rank | None]]:
    """Yield the skills of an index with their ranks. Raises RegistryError, also if it cannot tell what skills have."""
    ranked = index.ranked(text, has) if isinstance(index, RankingIndex) else None
    if ranked is None and has:
        raise RegistryError(
            "it cannot search by what skills have", hint="search a registry with a server, online, or leave out `--has`"
        )
    for item in index.listings() if ranked is None else ranked:
        fit = rank(words, item)
        yield item, fit if ranked is None or fit not in (None, Rank.WITHIN) else Rank.TEXT


def rank(words: Sequence[str], item: Listing) -> Rank | None:
    """Return how well a skill matches the case-folded words, or None."""
    whole, last = "-".join(words), item.name.rpartition("/")[2]
    if whole in (item.name, last):
        return Rank.EXACT
    if item.name.startswith(whole) or last.startswith(whole):
        return Rank.PREFIX
    begins = [any(item.name.startswith(word, start) for start in _starts(item.name)) for word in words]
    if all(begins):
        return Rank.NAME
    summary = _WORD.findall(item.summary.casefold())
    in_summary = [any(other.startswith(word) for other in summary) for word in words]
    if all(one or other for one, other in zip(begins, in_summary, strict=True)):
        return Rank.SUMMARY
    return (
        Rank.WITHIN if all(word in item.name or other for word, other in zip(words, in_summary, strict=True)) else None
    )


def _starts(name: str) -> list[int]:
    """Return where the words of a name begin."""
    return [0, *(place + 1 for place, letter in enumerate(name) if letter in "-/.")]

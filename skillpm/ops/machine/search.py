"""``skillpm search``: skills by name and summary, over every index that can say what it has.

Ranks, best first: the name itself, names that begin with the text, names that hold every word, summaries in which
words begin with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from skillpm.errors import RegistryError, SkillpmError, UsageError
from skillpm.model.name import near_names
from skillpm.model.ports import SearchableIndex
from skillpm.model.release import Listing
from skillpm.ops.context import Context

MAX_TEXT = 200  # characters; nobody types more
_WORD = re.compile(r"[\w-]+")


class Rank(IntEnum):
    """How well a skill fits, best first."""

    EXACT = 0
    PREFIX = 1
    NAME = 2
    SUMMARY = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """A skill that fits, and the index that has it."""

    rank: Rank
    name: str
    version: str
    summary: str
    source: str

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {**asdict(self), "rank": self.rank.name.lower()}


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome.

    Attributes:
        hits: best first, then by name.
        near: known names like the text, where nothing fits.
        failures: of indexes that could not be asked, by their name.
    """

    hits: tuple[Hit, ...]
    near: tuple[str, ...]
    failures: dict[str, SkillpmError]


def search(context: Context, texts: Sequence[str]) -> Found:
    """Return what fits all words of the texts; of a name that several indexes have, the one that installs ask.

    Raises:
        UsageError: no word, or more than anybody types.
        RegistryError: a kind of registry that this version cannot read.
    """
    text = " ".join(texts)
    if len(text) > MAX_TEXT:
        raise UsageError(f"the text has {len(text)} characters", hint=f"search for at most {MAX_TEXT}")
    words = text.casefold().split()
    if not words:
        raise UsageError("there is nothing to search for", hint="give a word, such as `skillpm search logs`")
    listed: dict[str, tuple[Listing, str]] = {}
    failures: dict[str, SkillpmError] = {}
    for index in context.index.indexes:
        if not isinstance(index, SearchableIndex):
            failures[index.name] = RegistryError(
                "it does not list its skills", hint="name one: `skillpm show NAME` and `skillpm install NAME` find it"
            )
            continue
        try:
            for item in index.listings():
                listed.setdefault(item.name, (item, index.name))
        except SkillpmError as error:
            failures[index.name] = error
    hits = sorted(
        (
            Hit(fit, item.name, item.version, item.summary, source)
            for item, source in listed.values()
            if (fit := rank(words, item)) is not None
        ),
        key=lambda hit: (hit.rank, hit.name),
    )
    near = () if hits else near_names("-".join(words), listed)
    return Found(tuple(hits), tuple(near), failures)


def rank(words: Sequence[str], item: Listing) -> Rank | None:
    """Say how well a skill fits the case-folded words; None where it does not."""
    whole, last = "-".join(words), item.name.rpartition("/")[2]
    if whole in (item.name, last):
        return Rank.EXACT
    if item.name.startswith(whole) or last.startswith(whole):
        return Rank.PREFIX
    if all(word in item.name for word in words):
        return Rank.NAME
    summary = _WORD.findall(item.summary.casefold())
    fits = all(word in item.name or any(other.startswith(word) for other in summary) for word in words)
    return Rank.SUMMARY if fits else None

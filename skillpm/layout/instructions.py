"""What a text tells an agent to do that public skills have done harm with: seen and quoted, never judged.

A command is looked for in one long line: continued lines are joined first, letter for letter, so that places stay.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from skillpm.layout.hidden import Sighting
from skillpm.layout.orders import (
    ADDRESSED,
    COMMANDS,
    CONTINUED,
    FENCE,
    ORDER,
    OVERRIDE,
    PLACES,
    REVIEWED,
    RISK,
    SECRETLY,
    YOU,
    Told,
)

MAX_TEXT = 1 << 19  # characters of one text that are looked at: no agent reads more at once
MAX_COMMENT = 8_000  # characters of a comment
SHOWN = 80  # characters of a message's quotation


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first needed: most skills need none.

    Only ASCII letters make a word, so that a command is seen beside the letters of any other script.
    """
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE | re.ASCII)


_OTHER_BLANKS = re.compile(r"[^\S\x00-\x7f]")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_BLANKED = bytes(code if chr(code) in _LETTERS else ord(" ") for code in range(256))


def _names(text: str) -> list[bytes]:
    """Return the names in a text of lower case: what stands between characters that are no ASCII letters."""
    return text.encode("ascii", "replace").translate(_BLANKED).split()


# The words by their first name, those without one by none. Nearly every text has no word at all, and a look at all its
# names at once costs a tenth of a search for each word.
_WORDS: dict[bytes, set[str]] = defaultdict(set)
for _word in (word for _, words, needs, _ in COMMANDS for word in (*words, *needs)):
    _WORDS[next(iter(_names(_word)), b"")].add(_word)
_NAMED = frozenset(_WORDS)


def instructions(text: str) -> Iterator[Sighting]:
    """Yield what a text tells an agent to do, each kind in its order. Positions are 0-based."""
    text = _plain_blanks(text[:MAX_TEXT])
    lower, joined = _lower(text), ""
    named = (b"", *_NAMED.intersection(_names(lower)))
    present = {word for name in named for word in _WORDS[name] if word in lower}
    for what, words, needs, pattern in COMMANDS:
        if present.isdisjoint(words) or (needs and present.isdisjoint(needs)):
            continue
        if not joined:
            joined = _compiled(CONTINUED).sub(_blank, text)
            lower = _lower(joined)
        for begin, end in _near(lower, [word for word in words if word in present]):
            for match in _compiled(pattern).finditer(joined, begin, end):
                if not _excused(match):
                    start = match.end() - len(match[0].lstrip())
                    yield Sighting(what, start, _quoted(match[0]))
    if "<!--" in text or "]:" in text or "hidden" in lower or "style=" in lower:
        yield from _hidden_orders(text)


def _plain_blanks(text: str) -> str:
    """Return a text in which no-break and other wide or narrow spaces are blanks, as an agent reads them."""
    return text if text.isascii() else _OTHER_BLANKS.sub(" ", text)


def _blank(end: re.Match[str]) -> str:
    return (end[0][0] if end[0][0] in "|&" else " ").ljust(len(end[0]))


def _lower(text: str) -> str:
    """Return a text in lower case, letter for letter: some letters have two in lower case, and keep their own."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if c.isascii() else c for c in text)


def _near(lower: str, words: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the lines that hold one of the words, each with the line before it and two behind, which do not overlap."""
    places = sorted(place for word in words for place in _all(lower, word))
    reached = 0
    for place in places:
        if place < reached:
            continue
        begin = max(lower.rfind("\n", 0, max(lower.rfind("\n", 0, place + 1), 0)) + 1, reached)
        reached = end = place
        for _ in range(3):
            end = lower.find("\n", end + 1)
            reached = end if end >= 0 else len(lower)
            if end < 0:
                break
        yield begin, reached


def _all(lower: str, word: str) -> Iterator[int]:
    """Yield where a word stands, once for each line; within a longer name it does not."""
    place, end = lower.find(word), len(word)
    while place >= 0:
        if _parted(lower, place) and _parted(lower, place + end):
            yield place
            place = lower.find("\n", place)
        place = lower.find(word, place + 1) if place >= 0 else -1


def _parted(lower: str, place: int) -> bool:
    return not (0 < place < len(lower) and lower[place - 1] in _LETTERS and lower[place] in _LETTERS)


def _excused(match: re.Match[str]) -> bool:
    """Is what was downloaded looked at before it runs?"""
    between = match.groupdict().get("between")
    return between is not None and _compiled(REVIEWED).search(between) is not None


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"`{line if len(line) <= SHOWN else line[: SHOWN - 1] + '…'}`"


def _hidden_orders(text: str) -> Iterator[Sighting]:
    fences: list[int] | None = None
    for position, unseen in _unseen(text):
        if not _orders(unseen):
            continue
        if fences is None:
            fences = [fence.start() for fence in _compiled(FENCE).finditer(text)]
        if bisect(fences, position) % 2 == 0:  # within a fence people see it
            yield Sighting(Told.COMMENT, position, _quoted(unseen))


def _unseen(text: str) -> Iterator[tuple[int, str]]:
    """Yield the texts that a rendered page does not show, and where each begins."""
    begin = text.find("<!--")
    while begin >= 0:
        end = text.find("-->", begin + 4)
        yield begin, text[begin + 4 : min(end if end >= 0 else len(text), begin + MAX_COMMENT)]
        begin = text.find("<!--", end) if end >= 0 else -1
    for word, pattern in PLACES:
        for match in _compiled(pattern).finditer(text) if word in text else ():
            yield match.start(), match[1]


def _orders(text: str) -> bool:
    """Does an unseen text speak to an agent, and tell it to do something?"""
    if any(_compiled(pattern).search(text) for pattern in (OVERRIDE, SECRETLY, ADDRESSED)):
        return True
    return all(_compiled(pattern).search(text) for pattern in (ORDER, YOU, RISK))

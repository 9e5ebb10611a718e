"""Names of skills: the grammar of the open Agent Skills format, with an optional owner in front.

Source: Agent Skills specification, field ``name``: 1 to 64 characters, lowercase letters, digits and hyphens, no
hyphen at either end, no two in a row. Names that travel (archives, registries, locks) are ASCII.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from skillpm.errors import UsageError

UNVERSIONED = "0"  # the version of a skill that says none
_PART = r"(?=[a-z0-9-]{1,64}(?:/|\Z))[a-z0-9]+(?:-[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_PART}/)?{_PART}\Z")

_ALIKE = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("-", ""))  # pairs that readers confuse
_SEPARATORS = re.compile(r"[\s._-]+")
_WORDS = re.compile(r"[^-/]+")
_PREFIX = 3  # letters from which on a part of a name is taken for the name
_MOST = 3  # slips of a finger in a name that is still taken for another
_FAR = math.inf
_AS_NEAR = 0.5  # of a slip: what makes no difference
TYPED = 6  # letters of a name from which on one slip of a finger is taken for what it is

WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}
)


def is_name(text: str) -> bool:
    """Is this a skill name, ``name`` or ``owner/name``?"""
    return _NAME.match(text) is not None and WINDOWS_DEVICES.isdisjoint(text.split("/"))


def parse_name(text: str) -> str:
    """Return the name, or raise UsageError with the grammar as hint."""
    if is_name(text):
        return text
    if _NAME.match(text):
        raise UsageError(f"`{text}` is a name that Windows keeps for a device", hint="choose another name")
    plain = _plain(text.strip())
    raise UsageError(
        f"`{text[:80]}` is not a skill name",
        hint=meant([plain] if is_name(plain) else [])
        or "a name is lowercase letters, digits and single hyphens, 1 to 64 characters, optionally `owner/name`",
    )


def scope_of(name: str) -> str:
    """Return what is owned in a registry: a skill, ``OWNER/`` for `owner/skill` and `owner/`, or ``*``."""
    owner, slash, _ = name.partition("/")
    return owner + slash


def near_names(name: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """Return the known names that a person may have meant: the nearest, and those that are as near.

    Near is a name that is a few slips of the finger away, one for every three letters and three at most; one that
    begins with what was typed; and one that shares its words with it: `triage` means `incident-triage`. Capitals and
    kinds of separators make no difference. Source: the cut-off of rustc's suggestions, and the distance of Damerau in
    its form of optimal string alignment.
    """
    typed = _plain(name)
    ranks = {item: _rank(typed, _plain(item)) for item in names}
    nearest = min(ranks.values(), default=_FAR)
    alike = (item for item, rank in ranks.items() if rank < _FAR and rank <= nearest + _AS_NEAR)
    return sorted(alike, key=lambda item: (ranks[item], item))[:limit]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the hint for a name that is not known: the names that may have been meant, or what else there is to do."""
    return meant(near_names(name[:80], known)) or otherwise


def meant(names: Iterable[str]) -> str:
    """Return the question whether one of these names was meant; empty if there are none."""
    text = " or ".join(f"`{name}`" for name in names)
    return f"did you mean {text}?" if text else ""


def _plain(name: str) -> str:
    return _SEPARATORS.sub("-", name.lower())


def _rank(typed: str, known: str) -> float:
    """Return the number of slips, little more than one where words are shared, or ``_FAR``."""
    short = min(len(typed), len(known))
    slips = _slips(typed, known, min(short // 3, _MOST))
    if slips > 1 and (_shares_words(typed, known) or (short >= _PREFIX and known.startswith(typed))):
        return 1 + _AS_NEAR
    return slips


def _shares_words(typed: str, known: str) -> bool:
    """Are all words of one among those of the other, with a slip in long ones?"""
    one, other = sorted((_WORDS.findall(typed), _WORDS.findall(known)), key=len)
    if sum(map(len, one)) < _PREFIX or 2 * len(known) < len(typed):
        return False
    return all(any(_is_word(word, there) for there in other) for word in one)


def _is_word(typed: str, known: str) -> bool:
    return (len(typed) >= _PREFIX and known.startswith(typed)) or _slips(typed, known, len(typed) // 5) < _FAR


def _slips(one: str, other: str, most: int) -> float:
    """Return how many letters were added, left out, changed or swapped with the next; ``_FAR`` beyond ``most``."""
    if most == 0 or abs(len(one) - len(other)) > most:
        return 0 if one == other else _FAR
    before: list[float] = []
    last: list[float] = [*range(len(other) + 1)]
    for i, letter in enumerate(one, 1):
        now: list[float] = [i, *[_FAR] * len(other)]
        for j in range(max(1, i - most), min(len(other), i + most) + 1):  # further from the diagonal all is too far
            now[j] = min(last[j] + 1, now[j - 1] + 1, last[j - 1] + (letter != other[j - 1]))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == other[j - 1]:
                now[j] = min(now[j], before[j - 2] + 1)
        if min(now) > most:
            return _FAR
        before, last = last, now
    return last[-1] if last[-1] <= most else _FAR


def look_alike(name: str, names: Iterable[str]) -> str | None:
    """Return a name that this one could be taken for, or be a slip of the finger for; None if there is none.

    Alike are names that differ only in what readers confuse (``l`` and ``1``, ``rn`` and ``m``, hyphens), and longer
    ones that differ in one letter added, left out, changed, or swapped with the next. Numbers tell names apart. Of
    names with an owner the owners are compared: what one owner calls its skills is its own affair. Source: the rule of
    the Python package index for new names, and the distance of Damerau.
    """
    owner, _, last = name.rpartition("/")
    mine = owner or last
    others: dict[str, str] = {}  # what is compared, of each name that is
    for other in names:
        its_owner, _, its_last = other.rpartition("/")
        if bool(owner) == bool(its_owner) and (not owner or last == its_last):
            others[its_owner or its_last] = other
    others.pop(mine, None)
    seen = as_seen("/".join(others)).split("/")  # together: a registry has many names
    mine_shape, middle = as_seen(mine), len(mine) // 2
    head, tail = mine[: max(middle - 1, 0)], mine[middle:]  # one slip leaves one of them as it is
    alike = (
        others[text]
        for text, shape in zip(others, seen, strict=False)
        if shape == mine_shape or ((text.startswith(head) or text.endswith(tail)) and _is_slip(mine, text))
    )
    return min(alike, default=None)


def _is_slip(one: str, other: str) -> bool:
    """Are two longer names one slip of the finger apart, which begins with a letter in both?"""
    pairs = enumerate(zip(one, other, strict=False))
    start = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
    begin = one[start : start + 1] + other[start : start + 1]
    return min(len(one), len(other)) >= TYPED and begin.isalpha() and _slips(one, other, 1) <= 1


def as_seen(name: str) -> str:
    """Return the same text for names that readers confuse."""
    for written, read in _ALIKE:
        name = name.replace(written, read)
    return name

"""Names of skills: the grammar of the open Agent Skills format, with an optional owner in front.

Source: Agent Skills specification, field ``name``: 1 to 64 characters, lowercase letters, digits and hyphens, no
hyphen at either end, no two in a row. Names that travel (archives, registries, locks) are ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from skillpm.errors import UsageError

__all__ = ["WINDOWS_DEVICES", "is_name", "look_alike", "near_names", "parse_name"]

_PART = r"(?=[a-z0-9-]{1,64}(?:/|\Z))[a-z0-9]+(?:-[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_PART}/)?{_PART}\Z")

_ALIKE = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("-", ""))  # pairs that readers confuse
_TYPED = 6  # letters of a name from which on one slip of a finger is taken for what it is

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
    raise UsageError(
        f"`{text[:80]}` is not a skill name",
        hint="a name is lowercase letters, digits and single hyphens, 1 to 64 characters, optionally `owner/name`",
    )


def near_names(name: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """Return the known names that a person may have meant, nearest first."""
    import difflib

    return difflib.get_close_matches(name, sorted(set(names)), n=limit, cutoff=0.6)


def look_alike(name: str, names: Iterable[str]) -> str | None:
    """Return a name that this one could be taken for, or be a slip of the finger for; None where there is none.

    Alike are names that differ only in what readers confuse (``l`` and ``1``, ``rn`` and ``m``, hyphens), and longer
    ones that differ in one letter added, left out, changed, or swapped with the next. Numbers tell names apart. Of
    names with an owner the owners are compared: what one owner calls its skills is its own affair. Source: the rule of
    the Python package index for new names, and the distance of Damerau.
    """
    owner, _, last = name.rpartition("/")
    for other in sorted(names):
        its_owner, _, its_last = other.rpartition("/")
        if not owner and not its_owner and last != its_last and _confusable(last, its_last):
            return other
        if owner and its_owner and owner != its_owner and last == its_last and _confusable(owner, its_owner):
            return other
    return None


def _confusable(one: str, other: str) -> bool:
    return _seen(one) == _seen(other) or (min(len(one), len(other)) >= _TYPED and _one_slip(one, other))


def _seen(name: str) -> str:
    for written, read in _ALIKE:
        name = name.replace(written, read)
    return name


def _one_slip(one: str, other: str) -> bool:
    """Do two names differ in one letter, or in two neighbours that changed places?"""
    if len(one) > len(other):
        one, other = other, one
    start = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    rest, others = one[start:], other[start:]
    if not (others[:1] + rest[:1]).isalpha():
        return False
    if len(rest) < len(others):
        return rest == others[1:]
    return rest[1:] == others[1:] or (rest[:2] == others[1::-1] and rest[2:] == others[2:])

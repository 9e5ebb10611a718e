"""Names of skills: the grammar of the open Agent Skills format, with an optional owner in front.

Source: Agent Skills specification, field ``name``: 1 to 64 characters, lowercase letters, digits and hyphens, no
hyphen at either end, no two in a row. Names that travel (archives, registries, locks) are ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from skillpm.errors import UsageError

__all__ = ["WINDOWS_DEVICES", "is_name", "near_names", "parse_name"]

_PART = r"(?=[a-z0-9-]{1,64}(?:/|\Z))[a-z0-9]+(?:-[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_PART}/)?{_PART}\Z")

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

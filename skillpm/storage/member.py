"""The paths that an archive may have: names that mean the same file on every file system.

The grammar is stricter than that of archive tools. 99.5 % of 22,929 public skills obey it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from skillpm.model.name import WINDOWS_DEVICES

_SEGMENT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.\-+ ]{0,99}\Z")
_REFUSED_FOLDERS = frozenset({".git", ".hg", ".svn", "__pycache__"})
# an interpreter runs each of these automatically, or instead of the reviewed source
_REFUSED_FILES = frozenset({"sitecustomize.py", "usercustomize.py"})
_REFUSED_SUFFIXES = (".pyc", ".pyo", ".pth", ".start", ".egg-link")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a skill; the largest known public skill has 14.7 MB in 1,104 files."""

    size: int = 20 * 1024 * 1024  # bytes, of all files together
    files: int = 2_000  # files
    path: int = 240  # bytes of one path
    depth: int = 10  # levels of one path


LIMITS = Limits()


@lru_cache(maxsize=4096)  # skills share most of their names
def path_problem(path: str, limits: Limits = LIMITS) -> str | None:
    """Return why an archive may not have this path, or None."""
    if not path or path.startswith("/") or "\\" in path or ":" in path:
        return "is not a relative path with forward slashes"
    if len(path.encode("utf-8", "surrogatepass")) > limits.path:
        return f"is longer than {limits.path} bytes"
    segments = path.split("/")
    if len(segments) > limits.depth:
        return f"is deeper than {limits.depth} levels"
    return next((problem for segment in segments if (problem := _segment_problem(segment))), None)


def _segment_problem(segment: str) -> str | None:
    folded = segment.casefold()
    if segment in ("", ".", ".."):
        return "has an empty, `.` or `..` segment"
    if not segment.isascii() or not _SEGMENT.match(segment):
        return "may only have ASCII letters, digits, `_`, `.`, `-`, `+` and inner spaces in its segments"
    if segment[-1] in ". ":
        return "has a segment that ends with a dot or a space"
    if folded.partition(".")[0].rstrip() in WINDOWS_DEVICES:
        return "uses a name that Windows keeps for a device"
    if folded in _REFUSED_FOLDERS:
        return "belongs to version control or to an interpreter's cache"
    if folded in _REFUSED_FILES or folded.endswith(_REFUSED_SUFFIXES):
        return "is a file that an interpreter runs automatically"
    return None


class Members:
    """The paths so far. No two may be the same file without case, and none both a file and a folder."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def problem(self, path: str) -> str | None:
        """Add a path; return why it is refused, or None."""
        problem = path_problem(path, self._limits)
        if problem:
            return problem
        folded = path.casefold()
        parts = folded.split("/")
        parents = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if folded in self._files:
            return "occurs twice, ignoring upper and lower case"
        if folded in self._folders or not parents.isdisjoint(self._files):
            return "is used as a file and as a folder"
        if len(self._files) >= self._limits.files:
            return f"exceeds the limit of files, which is {self._limits.files}"
        self._files.add(folded)
        self._folders |= parents
        return None

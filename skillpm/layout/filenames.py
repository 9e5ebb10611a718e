"""The one grammar of the files of a skill: names that mean the same file on every file system and in every archive.

A name is UTF-8 in composed form (NFC). It may have any letter, digit, mark or punctuation, so ``模板.md``,
``[id]/page.tsx`` and ``notes (1).md`` travel. What is refused fools a terminal, an unpacker or a file system:

- control characters, invisible characters, backslashes, and what is not UTF-8;
- ``<>:"|?*``, device names, and a dot or a space at the end of a name, which Windows cannot hold;
- two names that are one where case or composition is not told apart;
- names too long for a ustar header (100 bytes of a name, 240 of a path), more than 10 levels, more than 2,000 files;
- files that an interpreter runs by itself, its caches, and the folders of version control.

``validate``, ``scan``, ``pack``, ``publish``, ``install`` and the reader of archives all ask this module.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from skillpm.model.name import WINDOWS_DEVICES

# C0, C1, soft hyphen, zero-width, line separators, bidirectional controls, surrogates, byte order mark, interlinear
# marks, tags, supplementary selectors; the emoji selector U+FE0F is not among them
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_WINDOWS = re.compile(r'[<>"|?*]')
_DEVICES = WINDOWS_DEVICES | {f"{port}{digit}" for port in ("com", "lpt") for digit in "¹²³"} | {"conin$", "conout$"}
_REFUSED_FOLDERS = frozenset({".git", ".hg", ".svn", "__pycache__"})
# an interpreter runs each of these automatically, or instead of the reviewed source
_START_UP_FILES = frozenset({"sitecustomize.py", "usercustomize.py"})
_START_UP_ENDINGS = (".pth", ".start", ".egg-link")
_BYTECODE = (".pyc", ".pyo")
_ALIKE = "ignoring upper and lower case and composition"
_NAME, _PREFIX = 100, 155  # bytes of the two fields of a ustar header


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a skill; the largest known public skill has 14.7 MB in 1,104 files."""

    size: int = 20 * 1024 * 1024  # bytes, of all files together
    files: int = 2_000  # files
    path: int = 240  # bytes of one path
    depth: int = 10  # levels of one path


LIMITS = Limits()
ADAPTER_LIMITS = Limits(size=1 << 30, files=50)  # of a trained adapter, whose weights are most of it
CODE = ("plugin.py", "verifier.py")  # what a worker would execute
ADAPTER = "adapter.json"  # the document that a package of an adapter has
CONFIGURATION = "adapter_config.json"  # of PEFT
CALIBRATION = "calibration.json"  # thresholds of confidence, beside an evaluation and in a package of an adapter


@lru_cache(maxsize=4096)  # skills share most of their names
def path_problem(path: str, limits: Limits = LIMITS) -> str | None:
    """Return why no skill may have this path, or None."""
    return unsafe_name(path) or unportable_name(path, limits) or _interpreted(path)


def unsafe_name(path: str) -> str | None:
    """Return why a path fools terminals or unpackers, or None."""
    if not path or path.startswith("/") or "\\" in path:
        return "is not a relative path with forward slashes"
    if not (path.isascii() and path.isprintable()) and _INVISIBLE.search(path):
        surrogate = any("\ud800" <= character <= "\udfff" for character in path)
        return "is not UTF-8" if surrogate else "holds control characters, a backslash or hidden characters"
    return "has an empty, `.` or `..` segment" if {"", ".", ".."} & set(path.split("/")) else None


def unportable_name(path: str, limits: Limits = LIMITS) -> str | None:
    """Return why a file system or an archive cannot hold a path that is safe, or None."""
    if not path.isascii() and unicodedata.normalize("NFC", path) != path:
        return "is not in composed form (NFC)"
    if ":" in path:
        return "is not a relative path on Windows: it has a `:`"
    if _WINDOWS.search(path):
        return 'has one of < > " | ? *, which Windows refuses'
    segments = path.split("/")
    for segment in segments:
        if segment[-1:] == "." or segment[-1:].isspace():
            return "has a segment that ends with a dot or a space, which Windows drops"
        if segment.casefold().partition(".")[0].rstrip() in _DEVICES:
            return "uses a name that Windows keeps for a device"
    if len(path.encode("utf-8", "surrogatepass")) > limits.path:
        return f"is longer than {limits.path} bytes"
    if ustar_fields(path) is None:
        return f"is longer than {_NAME} bytes in its last parts"
    return f"is deeper than {limits.depth} levels" if len(segments) > limits.depth else None


def starts_by_itself(path: str) -> bool:
    """Does Python run this file at start-up?"""
    name = path.rpartition("/")[2].casefold()
    return name in _START_UP_FILES or name.endswith(_START_UP_ENDINGS)


def _interpreted(path: str) -> str | None:
    folded = path.casefold()
    if not _REFUSED_FOLDERS.isdisjoint(folded.split("/")):
        return "belongs to version control or to an interpreter's cache"
    if starts_by_itself(path) or folded.endswith(_BYTECODE):
        return "is a file that an interpreter runs automatically"
    return None


def ustar_fields(path: str) -> tuple[bytes, bytes] | None:
    """Split a path into ustar's name (100 bytes) and prefix (155 bytes); None if it does not fit."""
    encoded = path.encode("utf-8", "surrogatepass")
    if len(encoded) <= _NAME:
        return encoded, b""
    cut = encoded.rfind(b"/", 0, _PREFIX + 1)
    name = encoded[cut + 1 :]
    return (name, encoded[:cut]) if cut >= 0 and len(name) <= _NAME else None


def folded(path: str) -> str:
    """Return a path as a file system sees it that tells neither case nor composition apart."""
    if path.isascii():
        return path.casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


class Members:
    """The paths so far. No two may be the same file without case, and none both a file and a folder."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._files: set[str] = set()
        self._folded: set[str] = set()
        self._folders = {""}

    def problem(self, path: str) -> str | None:
        """Add a path; return why it is refused, or None."""
        return path_problem(path, self._limits) or self.clash(path)

    def clash(self, path: str) -> str | None:
        """Add a path; return why it cannot stand beside the paths so far, or None."""
        name = folded(path)
        if name in self._files:
            return f"occurs twice, {_ALIKE}"
        if name in self._folded:
            return "is used as a file and as a folder"
        if len(self._files) >= self._limits.files:
            return f"exceeds the limit of files, which is {self._limits.files:,}"
        problem = self._enter(path.rpartition("/")[0])
        if problem is None:
            self._files.add(name)
        return problem

    def _enter(self, folder: str) -> str | None:
        if folder in self._folders:
            return None
        problem, name = self._enter(folder.rpartition("/")[0]), folded(folder)
        if problem is None and name in self._files:
            problem = "is used as a file and as a folder"
        if problem is None and name in self._folded:
            problem = f"has a folder that occurs twice, {_ALIKE}"
        if problem is None:
            self._folders.add(folder)
            self._folded.add(name)
        return problem


def problems(paths: Iterable[str], limits: Limits = LIMITS) -> list[tuple[str, str]]:
    """Return every path that a skill may not have, with the reason; of too many files, the first."""
    members, bad = Members(limits), []
    for path in sorted(paths):
        problem = members.problem(path)
        if problem:
            bad.append((path, problem))
            if "limit of files" in problem:
                break
    return bad

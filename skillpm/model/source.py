"""Where a skill comes from: the one module that knows how locks, requirements and project files write it.

A new kind of source is a member of ``SourceKind``, its place in the sets below, and a module of index/ that opens it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from skillpm.formats.light import TextValue


class SourceKind(Enum):
    """The kinds of sources; a value is what the text of such a source begins with."""

    BUNDLED = "bundled"  # ships with skillpm
    PATH = "path:"  # a folder
    ARCHIVE = "archive:"  # a .tar.gz on this disk
    GIT = "git+"  # a commit of a repository; in a requirement also a branch or a tag
    REGISTRY = "registry:"  # a folder or a URL with config.json
    SITE = "well-known:"  # a web site's .well-known/agent-skills
    FOREIGN = ""  # anything else: a plugin may know it


_CHOSEN_BY_HAND = frozenset({SourceKind.BUNDLED, SourceKind.PATH, SourceKind.ARCHIVE, SourceKind.GIT})
_PUBLISHED = frozenset({SourceKind.REGISTRY, SourceKind.FOREIGN})


@dataclass(frozen=True, slots=True)
class Source(TextValue):
    """One source.

    Attributes:
        place: where it is: a path relative to the project, or a URL; empty for what ships with skillpm.
    """

    kind: SourceKind
    place: str = ""

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read what a lock or a requirement says. Every text is a source; ``str`` gives the same text back."""
        if text == SourceKind.BUNDLED.value:
            return BUNDLED
        kind = next(kind for kind, prefix in _PREFIXES if text.startswith(prefix))
        return cls(kind, text[len(kind.value) :])

    def __str__(self) -> str:
        return f"{self.kind.value}{self.place}"

    @property
    def editable(self) -> bool:
        """Is it a folder, whose content a person edits, so that it is read again each time?"""
        return self.kind is SourceKind.PATH

    @property
    def floating(self) -> bool:
        """May a requirement name something that moves, such as a branch, of which a lock says where it was?"""
        return self.kind is SourceKind.GIT

    @property
    def chosen_by_hand(self) -> bool:
        """Has a person chosen this very content? Then no cooldown holds for it."""
        return self.kind in _CHOSEN_BY_HAND

    @property
    def published(self) -> bool:
        """Does it promise that a version which it has once given never changes?"""
        return self.kind in _PUBLISHED

    @property
    def is_registry(self) -> bool:
        """Is it a place of many skills, which a project file can list under ``registries``?"""
        return self.kind in (SourceKind.REGISTRY, SourceKind.SITE)

    def same_place(self, other: Source) -> bool:
        """Is it the same place, at this or at another commit?"""
        return self == other or (self.floating and other.floating and self._unpinned() == other._unpinned())

    def same_origin(self, other: Source) -> bool:
        """Is it the same place, or another folder or commit of the same repository?"""
        return self == other or (self.floating and other.floating and self.entry()["git"] == other.entry()["git"])

    def _cut_folder(self) -> tuple[str, str]:
        """Split the place into that of a repository or an archive, and the folder in it; a folder has none."""
        if self.kind is SourceKind.PATH:
            return self.place, ""
        place, _, inside = self.place.partition(SUBDIRECTORY)
        return place, inside

    def _unpinned(self) -> dict[str, str]:
        return {key: value for key, value in self.entry().items() if key != "ref"}

    def entry(self) -> dict[str, str]:
        """Return the keys that name it under ``requires`` of a project file; none where a registry is named there."""
        if self.kind in (SourceKind.PATH, SourceKind.ARCHIVE):
            place, inside = self._cut_folder()
            keys = {self.kind.name.lower(): place if place.startswith((".", "/")) else f"./{place}"}
            return {**keys, "subdirectory": inside} if inside else keys
        if self.kind is not SourceKind.GIT:
            return {}
        address, subdirectory = self._cut_folder()
        host = max(address.find("/", address.find("://") + 3), 0)
        path, reference = cut_reference(address[host:])
        keys = {"git": address[:host] + path, "ref": reference or "", "subdirectory": subdirectory}
        if reference == _HEAD:
            keys["ref"] = ""
        return {key: value for key, value in keys.items() if value}


BUNDLED = Source(SourceKind.BUNDLED)
_PREFIXES = tuple((kind, kind.value) for kind in SourceKind if kind is not SourceKind.BUNDLED)
SUBDIRECTORY = "#subdirectory="
_HEAD = "HEAD"
_AT = re.compile(r"(?<=[^/])@")


def cut_reference(path: str) -> tuple[str, str | None]:
    """Split ``PATH@REFERENCE`` at the last ``@`` that begins no name: a scope ``@home`` may be a part of either."""
    cut = max((match.start() for match in _AT.finditer(path)), default=-1)
    return (path[:cut], path[cut + 1 :]) if cut >= 0 else (path, None)


def git_place(address: str, reference: str | None = "", subdirectory: str | None = "") -> str:
    """Return how a person types a folder of a repository at a reference; both may be left out."""
    at = f"@{reference}" if reference else ""
    return in_folder(f"{SourceKind.GIT.value}{address.removeprefix(SourceKind.GIT.value)}{at}", subdirectory)


def in_folder(place: str, subdirectory: str | None) -> str:
    """Return how a person types a folder of a repository or of an archive; "" or None for the whole."""
    return f"{place}{SUBDIRECTORY}{subdirectory}" if subdirectory else place

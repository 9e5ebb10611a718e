"""What somebody asks for: a name and the versions that will do (PEP 440 specifiers)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from skillpm.errors import UsageError
from skillpm.model.name import parse_name

__all__ = ["Requirement", "parse_version"]

_SPLIT = re.compile(r"\s*(?P<name>[A-Za-z0-9._/-]+?)\s*(?:@\s*(?P<exact>[^\s,]+)|(?P<specifier>[<>=!~].*))?\s*\Z")
VERSION_LENGTH = 64  # characters; `packaging` raises ValueError on a version of 5,000 digits


def parse_version(text: str) -> Version:
    """Return a PEP 440 version of at most 64 characters, or raise UsageError."""
    try:
        if len(text) <= VERSION_LENGTH:
            return Version(text)
    except InvalidVersion:
        pass
    raise UsageError(
        f"`{text[:80]}` is not a version",
        hint="versions follow PEP 440, such as 1.2.0 or 2.0rc1, at most 64 characters",
    )


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """A skill name and the versions that satisfy it; ``specifier`` is canonical text, empty for any."""

    name: str
    specifier: str = ""

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read ``name``, ``name>=1,<2`` or ``name@1.2.0``; raise UsageError on anything else."""
        match = _SPLIT.match(text)
        if match is None:
            raise UsageError(
                f"`{text[:80]}` is not a requirement",
                hint="write `name`, `name>=1,<2`, `name@1.2.0`, or a path with a `/`",
            )
        if match["exact"]:
            return cls(parse_name(match["name"]), f"=={parse_version(match['exact'])}")
        return cls.of(match["name"], match["specifier"] or "")

    @classmethod
    def of(cls, name: str, specifier: str) -> Requirement:
        """Build one from its two parts, as a manifest's ``requires`` holds them."""
        text = "" if specifier.strip() == "*" else specifier
        try:
            canonical = str(SpecifierSet(text[:512]))
        except InvalidSpecifier:
            raise UsageError(
                f"`{text[:80]}` is not a version specifier", hint="use PEP 440 specifiers such as `>=1,<2` or `==1.2.*`"
            ) from None
        return cls(parse_name(name), canonical)

    def __str__(self) -> str:
        return f"{self.name}{self.specifier}"

    def admits(self, version: str, *, prereleases: bool | None = None) -> bool:
        """Does this version satisfy the specifier?"""
        return SpecifierSet(self.specifier).contains(version, prereleases=prereleases)

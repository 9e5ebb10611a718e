"""A requirement: a name, a PEP 440 specifier, and a source if it is fixed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from skillpm.errors import UsageError
from skillpm.model.name import parse_name
from skillpm.model.source import Source

_SPLIT = re.compile(r"\s*(?P<name>[A-Za-z0-9._/-]+?)\s*(?:@\s*(?P<exact>[^\s,]+)|(?P<specifier>[<>=!~^].*))?\s*\Z")
_NPM = re.compile(r"(?P<mark>[\^~]) *v?(?P<least>[0-9]{1,9}(?:\.[0-9]{1,9}){0,2})|(?:[0-9]{1,9}\.){1,2}[xX*]|latest")
_SOURCE = re.compile(r" @ (?P<source>bundled|[a-z][a-z0-9+.-]*:[^\x00-\x1f\x7f]{1,2000})\Z")
SPECIFIER_LENGTH = 512  # characters
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


def canonical_version(text: str) -> str:
    """Return a version as releases are called, `1.0.0` for `v1.0.0`; return any other text as it is."""
    return canonicalize_version(text, strip_trailing_zero=False) if len(text) <= VERSION_LENGTH else text


@dataclass(frozen=True, slots=True)
class Requirement:
    """A skill name and the releases that satisfy it.

    Attributes:
        specifier: canonical PEP 440 text, empty for any version.
        source: the only place that will do; None where the first registry that knows the name answers.
    """

    name: str
    specifier: str = ""
    source: Source | None = None

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read ``name``, ``name>=1,<2``, ``name@1.2.0`` or, in a lock, ``name>=1 @ registry:../shop``.

        Raises:
            UsageError: it is anything else.
        """
        placed = _SOURCE.search(text)
        if placed is not None:
            plain = cls.parse(text[: placed.start()])
            return cls(plain.name, plain.specifier, Source.parse(placed["source"]))
        match = _SPLIT.match(text)
        if match is None:
            raise UsageError(
                f"`{text[:80]}` is not a requirement",
                hint="write `name`, `name>=1,<2`, `name@1.2.0`, or a path with a `/`",
            )
        if match["exact"]:
            name, exact = parse_name(match["name"]), match["exact"]
            _refuse_npm(exact, name)
            return cls(name, f"=={parse_version(exact)}")
        return cls.of(match["name"], match["specifier"] or "")

    @classmethod
    def of(cls, name: str, specifier: str, source: Source | None = None) -> Requirement:
        """Build one from its parts, as a manifest's ``requires`` holds them."""
        canonical = _canonical(specifier) if specifier.strip() not in ("", "*") else ""
        return cls(parse_name(name), canonical, source)

    def __str__(self) -> str:
        return f"{self.name}{self.specifier}{f' @ {self.source}' if self.source else ''}"

    def __lt__(self, other: Requirement) -> bool:
        return (self.name, str(self)) < (other.name, str(other))

    def admits(self, version: str, *, prereleases: bool | None = None) -> bool:
        """Does this version satisfy the specifier?"""
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.specifier).contains(version, prereleases=prereleases)

    def joined(self, other: Requirement) -> Requirement:
        """Return what satisfies both of two requirements of one name; this one's source comes first."""
        return Requirement.of(
            self.name, ",".join(filter(None, (self.specifier, other.specifier))), self.source or other.source
        )


def _refuse_npm(text: str, name: str = "") -> None:
    """Raise UsageError for a range of npm or cargo, with what PEP 440 writes for it."""
    match = _NPM.fullmatch(text.strip())
    if match is None:
        return
    numbers = [int(number) for number in re.findall(r"[0-9]{1,9}", text)]
    if match["mark"]:  # `^1.2` lets all grow behind the first number that is not zero, `~1.2` behind the second
        last = len(numbers) - 1
        first = next((place for place, number in enumerate(numbers) if number), last)
        grows = first if match["mark"] == "^" else min(1, last)
        ranges = f">={match['least']},<{'.'.join(map(str, [*numbers[:grows], numbers[grows] + 1]))}"
    else:
        ranges = f"=={'.'.join(map(str, numbers))}.*" if numbers else ""
    raise UsageError(
        f"`{text[:80]}` is a range of npm, not a version{'' if name else ' specifier'}",
        hint=f"write `{name}{ranges}`, as PEP 440 has it" if name or ranges else "write `*`",
    )


def _canonical(specifier: str) -> str:
    """Return a specifier in packaging's spelling. Raises UsageError."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # takes as long to import as all of click

    _refuse_npm(specifier)
    try:
        if len(specifier) > SPECIFIER_LENGTH:
            raise InvalidSpecifier
        return str(SpecifierSet(specifier))
    except InvalidSpecifier:
        raise UsageError(
            f"`{specifier[:80]}` is not a version specifier",
            hint=f"use PEP 440 specifiers such as `>=1,<2` or `==1.2.*`, at most {SPECIFIER_LENGTH} characters",
        ) from None

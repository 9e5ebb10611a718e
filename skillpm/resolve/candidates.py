"""The releases of the names that a resolution meets, as the solver sees them: numbers, and sets of numbers.

Each release of a name is its place in the order of versions, so a set of releases is a range of integers, and PEP 440
is asked once for each (name, specifier). A specifier that no release satisfies becomes a number that no release has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from nab_resolver.ranges import Range
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement

__all__ = ["Candidates", "Universe", "Withheld", "yanked"]

Numbers = Range[int]
Withheld = Callable[[str, Release], str | None]


def yanked(name: str, release: Release) -> str | None:
    """Say why a release is not chosen unless somebody asks for exactly it, in words that follow "it is": yanked."""
    if not release.yanked:
        return None
    return f"yanked ({release.yanked})" if isinstance(release.yanked, str) else "yanked"


class Candidates:
    """The releases of one name, oldest first, and which of them may be chosen.

    Args:
        page: what the index says; None where no index knows the name.
        preferred: the locked version, which is taken before any other and even where it is withheld.
        asked: specifiers of the person's own requirements: they can ask for a pre-release, ``==`` for a withheld one.
        withheld: why a release is not chosen unless it is asked for, by its number.
    """

    def __init__(
        self, page: Page | None, preferred: str | None, asked: tuple[str, ...], withheld: Withheld = yanked
    ) -> None:
        self.known = page is not None
        self.releases: tuple[Release, ...] = tuple(reversed(page.newest_first())) if page else ()
        self.versions = tuple(Version(release.version) for release in self.releases)
        reasons = ((number, withheld(page.name, release)) for number, release in enumerate(self.releases) if page)
        self.withheld = {number: reason for number, reason in reasons if reason}
        self._preferred = Version(preferred) if preferred else None
        self._asked = tuple(SpecifierSet(text) for text in asked)
        self._matching: dict[str, frozenset[int]] = {}
        self._absent: dict[str, int] = {}

    def matching(self, specifier: str) -> frozenset[int]:
        """Return the numbers of the releases that satisfy a specifier, yanked ones and pre-releases included."""
        if specifier not in self._matching:
            wanted = SpecifierSet(specifier)
            self._matching[specifier] = frozenset(
                number for number, version in enumerate(self.versions) if wanted.contains(version, prereleases=True)
            )
        return self._matching[specifier]

    def range(self, specifier: str) -> Numbers:
        """Return the solver's range of a specifier."""
        matching = self.matching(specifier)
        if not matching:
            absent = self._absent.setdefault(specifier, len(self.releases) + 1 + len(self._absent))
            return Range.singleton(absent)
        return numbers_range(matching)

    def unmatched(self, allowed: Numbers) -> list[SpecifierSet]:
        """Return the specifiers in a range that no release satisfies."""
        return [SpecifierSet(specifier) for specifier, absent in self._absent.items() if absent in allowed]

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """The numbers that may be chosen, best first: locked, newest final, newest pre-release."""
        asks_prerelease = any(specifier.prereleases for specifier in self._asked)
        allowed = [number for number in range(len(self.releases)) if self._may_choose(number)]
        return tuple(
            sorted(
                allowed,
                key=lambda number: (
                    self.versions[number] == self._preferred,
                    asks_prerelease or not self.versions[number].is_prerelease,
                    number,
                ),
                reverse=True,
            )
        )

    def _may_choose(self, number: int) -> bool:
        if number not in self.withheld:
            return True
        version = self.versions[number]
        return version == self._preferred or any(
            part.operator in ("==", "===") and "*" not in part.version and specifier.contains(version, prereleases=True)
            for specifier in self._asked
            for part in specifier
        )

    def choose(self, allowed: Numbers) -> int | None:
        """Return the best release of a range, or None."""
        return next((number for number in self._order if number in allowed), None)

    def count(self, allowed: Numbers) -> int:
        """Return how many releases of a range may be chosen."""
        return sum(1 for number in self._order if number in allowed)


def numbers_range(numbers: frozenset[int]) -> Numbers:
    """Return the range of these numbers, runs as one interval, which keeps the solver's sets small."""
    ordered = sorted(numbers)
    starts = [number for number in ordered if number - 1 not in numbers]
    ends = [number for number in ordered if number + 1 not in numbers]
    return Range(tuple((start, True, end, True) for start, end in zip(starts, ends, strict=True)))


class Universe:
    """Every name that a resolution meets, looked up once.

    Args:
        page: what the indexes know; may raise what an index raises.
        roots: what the person requires.
        preferred: locked versions by name.
        withheld: why a release is not chosen unless it is asked for.
    """

    def __init__(
        self,
        page: Callable[[str], Page | None],
        roots: tuple[Requirement, ...],
        preferred: Mapping[str, str],
        withheld: Withheld = yanked,
    ) -> None:
        self._page = page
        self._preferred = preferred
        self._withheld = withheld
        self._asked: dict[str, tuple[str, ...]] = {}
        for root in roots:
            self._asked[root.name] = (*self._asked.get(root.name, ()), root.specifier)
        self._candidates: dict[str, Candidates] = {}

    def candidates(self, name: str) -> Candidates:
        """Return the releases of a name."""
        if name not in self._candidates:
            asked = self._asked.get(name, ())
            self._candidates[name] = Candidates(self._page(name), self._preferred.get(name), asked, self._withheld)
        return self._candidates[name]

"""The releases of the names that a resolution meets, as the solver sees them: numbers, and sets of numbers.

Each release of a name is its place in the order of versions, so a set of releases is a range of integers, and PEP 440
is asked once for each (name, specifier). A specifier that no release satisfies becomes a number that no release has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from nab_resolver.ranges import Range
from packaging.version import Version

from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement

if TYPE_CHECKING:
    from packaging.specifiers import Specifier

Numbers = Range[int]
Withheld = Callable[[str, Release], str | None]

_version = lru_cache(maxsize=1 << 16)(Version)


def nothing_withheld(name: str, release: Release) -> str | None:
    """Withhold no release."""
    return None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A specifier, taken apart so that most of it is two look-ups in a sorted list.

    Attributes:
        least: no version below it satisfies the specifier.
        beyond: no version from it on does.
        others: the clauses that say more than that.
        prereleases: does it name a pre-release?
    """

    least: Version | None
    beyond: Version | None
    others: tuple[Specifier, ...]
    prereleases: bool


@lru_cache(maxsize=1 << 14)
def _wanted(specifier: str) -> _Wanted:
    """Take a specifier apart. Raises UsageError if it is none.

    ``<2`` leaves out the pre-releases of 2 as well, which begin with 2.dev0 (PEP 440, exclusive ordered comparison).
    """
    if not specifier:
        return _Wanted(None, None, (), prereleases=False)
    from packaging.specifiers import SpecifierSet

    # Only >= and < become limits: they are what nearly every specifier is made of, and a version's place in the order
    # says all about them. The others do not follow the order alone (>1 leaves out 1.post1 and 1+local, == may end with
    # .*), so packaging answers them, for the versions between the limits.
    clauses = SpecifierSet(Requirement.of("x", specifier).specifier)
    least, beyond, others = [], [], []
    for clause in clauses:
        limit = _version(clause.version) if clause.operator in (">=", "<") else None
        if limit is not None and clause.operator == ">=":
            least.append(limit)
        elif limit is not None and str(limit) == limit.base_version:  # <2rc1 does admit 2.dev0 and 2b1: no limit
            beyond.append(_version(f"{limit}.dev0"))
        else:
            others.append(clause)
    return _Wanted(max(least, default=None), min(beyond, default=None), tuple(others), bool(clauses.prereleases))


def matching(versions: Sequence[Version], specifier: str) -> Sequence[int]:
    """Return the places of the versions that satisfy a specifier, pre-releases included.

    Raises:
        UsageError: it is not a specifier.
    """
    wanted = _wanted(specifier)
    start = 0 if wanted.least is None else bisect_left(versions, wanted.least)
    stop = len(versions) if wanted.beyond is None else bisect_left(versions, wanted.beyond)
    if not wanted.others:
        return range(start, stop)
    return [
        place
        for place in range(start, stop)
        # whether pre-releases will do is one answer for each name (Candidates.prereleases), not one for each clause
        if all(clause.contains(versions[place], prereleases=True) for clause in wanted.others)
    ]


def numbers_range(numbers: Sequence[int]) -> Numbers:
    """Return the range of these numbers, which are in order; runs are one interval, so the solver's sets stay small."""
    intervals: list[tuple[int, bool, int, bool]] = []
    for number in numbers:
        if intervals and intervals[-1][2] == number - 1:
            intervals[-1] = (intervals[-1][0], True, number, True)
        else:
            intervals.append((number, True, number, True))
    return Range(tuple(intervals))


class Candidates:
    """The releases of one name, oldest first, and which of them may be chosen.

    A yanked or quarantined release may be chosen only where it is locked. A pre-release may be where it is locked,
    where one of the person's own requirements names a pre-release, or where every release of the name is one. What a
    policy withholds may be where it is locked, or where one of the person's own requirements is ``==`` it.

    Args:
        page: what the index says; None if no registry knows the name.
        preferred: the locked version, which is taken before any other.
        asked: specifiers of the person's own requirements.
        withheld: why a policy does not want a release, in words that follow "it is"; None if it does.
    """

    def __init__(
        self, page: Page | None, preferred: str | None, asked: tuple[str, ...], withheld: Withheld = nothing_withheld
    ) -> None:
        self.known = page is not None
        releases = page.releases if page else ()
        self.releases: tuple[Release, ...] = tuple(sorted(releases, key=lambda release: _version(release.version)))
        self.versions = tuple(_version(release.version) for release in self.releases)
        self.preferred = _version(preferred) if preferred else None
        self._asked = asked
        reasons = ((number, withheld(page.name, release)) for number, release in enumerate(self.releases) if page)
        self.withheld = {number: reason for number, reason in reasons if reason}
        self._ranges: dict[str, Numbers] = {}
        self._absent: dict[str, int] = {}
        self._choices: dict[Numbers, int | None] = {}
        self._counts: dict[Numbers, int] = {}

    def range(self, specifier: str) -> Numbers:
        """Return the solver's range of a specifier. Raises UsageError if it is none."""
        if specifier not in self._ranges:
            numbers: Sequence[int] = matching(self.versions, specifier)
            if not numbers:
                numbers = (len(self.releases) + 1 + len(self._absent),)
                self._absent[specifier] = numbers[0]
            self._ranges[specifier] = numbers_range(numbers)
        return self._ranges[specifier]

    def unmatched(self, allowed: Numbers) -> list[str]:
        """Return the specifiers in a range that no release satisfies."""
        return [specifier for specifier, absent in self._absent.items() if absent in allowed]

    def within(self, allowed: Numbers) -> list[int]:
        """Return the numbers of the releases in a range, whether or not they may be chosen."""
        return [number for number in range(len(self.releases)) if number in allowed]

    @cached_property
    def prereleases(self) -> bool:
        """May pre-releases of this name be chosen?"""
        return all(version.is_prerelease for version in self.versions) or any(
            _wanted(specifier).prereleases for specifier in self._asked
        )

    def may_choose(self, number: int) -> bool:
        """May this release be chosen at all?"""
        version = self.versions[number]
        if version == self.preferred:
            return True
        if not self.releases[number].usable or (version.is_prerelease and not self.prereleases):
            return False
        return number not in self.withheld or any(_names(specifier, version) for specifier in self._asked)

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """The numbers that may be chosen, best first: locked, then newest."""
        order = [number for number in reversed(range(len(self.releases))) if self.may_choose(number)]
        if self.preferred is not None and self.preferred in self.versions:
            order.sort(key=lambda number: self.versions[number] != self.preferred)
        return tuple(order)

    def choose(self, allowed: Numbers) -> int | None:
        """Return the best release of a range, or None."""
        if allowed not in self._choices:
            self._choices[allowed] = next((number for number in self._order if number in allowed), None)
        return self._choices[allowed]

    def count(self, allowed: Numbers) -> int:
        """Return how many releases of a range may be chosen."""
        if allowed not in self._counts:
            self._counts[allowed] = sum(1 for number in self._order if number in allowed)
        return self._counts[allowed]

    def alike(self, number: int) -> Numbers:
        """Return the range of the releases that require the same as this one."""
        requires = self.releases[number].requires
        return numbers_range([other for other, release in enumerate(self.releases) if release.requires == requires])


def _names(specifier: str, version: Version) -> bool:
    """Does a specifier name exactly this version?"""
    return any(
        clause.operator in ("==", "===") and not clause.version.endswith(".*") and _version(clause.version) == version
        for clause in _wanted(specifier).others
    )


class Universe:
    """Every name that a resolution meets, looked up once; see ``resolve`` for the arguments."""

    def __init__(
        self,
        page: Callable[[str], Page | None],
        roots: Iterable[Requirement],
        preferred: Mapping[str, str],
        withheld: Withheld = nothing_withheld,
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

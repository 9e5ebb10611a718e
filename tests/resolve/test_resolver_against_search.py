"""The resolver against exhaustive search, on small registries with cycles, yanked releases, pre-releases and locks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from skillpm.errors import ResolutionError
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.candidates import matching
from skillpm.resolve.resolver import resolve

VERSIONS = ("1", "2", "3rc1", "3", "4rc1")
Choice = dict[str, str]


@dataclass(frozen=True)
class Case:
    """A registry, what is required of it, and what is locked."""

    graph: Mapping[str, Mapping[str, Mapping[str, str]]]
    yanked: frozenset[tuple[str, str]]
    roots: tuple[Requirement, ...]
    locked: Mapping[str, str]

    def page(self, name: str) -> Page | None:
        """Return a name's releases."""
        return Page(
            name=name,
            releases=tuple(
                Release(
                    version=version,
                    archive="0" * 64,
                    tree="0" * 64,
                    size=0,
                    requires=dict(requires),
                    yanked=(name, version) in self.yanked,
                )
                for version, requires in self.graph[name].items()
            ),
        )


@functools.cache
def admits(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


def choosable(case: Case, roots: Sequence[Requirement], name: str, version: str) -> bool:
    """The three rules, written down a second time."""
    if case.locked.get(name) == version:
        return True
    if (name, version) in case.yanked:
        return False
    asked = any(root.name == name and "rc" in root.specifier for root in roots)
    only = all("rc" in other for other in case.graph[name])
    return "rc" not in version or asked or only


def satisfies(case: Case, roots: Sequence[Requirement], chosen: Choice) -> bool:
    """Does a choice meet every requirement, of the roots and of every chosen release?"""
    edges = [(root.name, root.specifier) for root in roots]
    for name, version in chosen.items():
        edges += case.graph[name][version].items()
    return all(name in chosen and admits(specifier, chosen[name]) for name, specifier in edges)


def choices(case: Case, roots: Sequence[Requirement]) -> Iterator[Choice]:
    possible = (
        [None, *(version for version in releases if choosable(case, roots, name, version))]
        for name, releases in case.graph.items()
    )
    for versions in itertools.product(*possible):
        yield {name: version for name, version in zip(case.graph, versions, strict=True) if version}


def solvable(case: Case, roots: Sequence[Requirement], asked: Sequence[Requirement] | None = None) -> bool:
    return any(satisfies(case, roots, chosen) for chosen in choices(case, roots if asked is None else asked))


def reached(case: Case, roots: Sequence[Requirement], chosen: Choice) -> set[str]:
    found: set[str] = set()
    pending = [root.name for root in roots]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += case.graph[name][chosen[name]]
    return found


SPECIFIERS = st.sampled_from(
    ["", "<2", ">=2", "<3", ">=3", ">1,<3", "==2", "==3rc1", ">=3rc1", ">=4", "!=2", "<=1", "~=3.0"]
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small registries; cycles and requirements of oneself included."""
    names = "abcd"[: draw(st.integers(2, 4))]
    graph = {
        name: {
            version: {other: draw(SPECIFIERS) for other in names if draw(st.integers(0, 9)) < 4}
            for version in draw(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=4, unique=True))
        }
        for name in names
    }
    releases = [(name, version) for name, versions in graph.items() for version in versions]
    yanked = draw(st.sets(st.sampled_from(releases), max_size=2))
    locked = dict(draw(st.lists(st.sampled_from(releases), max_size=3)))
    roots = [
        Requirement.of(name, draw(SPECIFIERS))
        for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    ]
    return Case(graph, frozenset(yanked), tuple(dict.fromkeys(roots)), locked)


@settings(max_examples=120)
@given(cases())
def test_there_is_an_answer_exactly_where_search_finds_one(case: Case) -> None:
    try:
        chosen = {name: item.version for name, item in resolve(case.roots, case.page, preferred=case.locked).items()}
    except ResolutionError as error:
        assert not solvable(case, case.roots)
        details = error.details
        core = [Requirement.parse(text) for text in details["requirements"]]
        assert set(core) <= set(case.roots)
        assert not solvable(case, core, case.roots), "the requirements that are named exclude each other"
        for root in core:
            assert solvable(case, [other for other in core if other != root], case.roots), (
                "and none of them can be spared"
            )
        for remedy in details["remedies"]:
            assert solvable(case, [Requirement.parse(text) for text in remedy]), "what a hint promises works"
        assert details["causes"] and error.hint
        assert all(str(root) in error.message for root in core)
        return
    assert satisfies(case, case.roots, chosen)
    assert all(choosable(case, case.roots, name, version) for name, version in chosen.items())
    assert reached(case, case.roots, chosen) == set(chosen), "nothing is chosen that nobody needs"
    again = resolve(case.roots[::-1], case.page, preferred=case.locked)
    assert chosen == {name: item.version for name, item in again.items()}, "the order of requirements is no matter"


@settings(max_examples=60)
@given(cases())
def test_the_best_of_each_name_is_chosen_where_all_of_them_fit(case: Case) -> None:
    """Best is what is locked, else the newest that may be chosen."""

    def best(name: str) -> str | None:
        open_to_choice = [version for version in case.graph[name] if choosable(case, case.roots, name, version)]
        return max(open_to_choice, key=lambda v: (case.locked.get(name) == v, Version(v)), default=None)

    greedy = {name: version for name in case.graph if (version := best(name))}
    try:
        needed = reached(case, case.roots, greedy)
    except KeyError:
        return
    wanted = {name: greedy[name] for name in needed}
    if satisfies(case, case.roots, wanted):
        chosen = resolve(case.roots, case.page, preferred=case.locked)
        assert {name: item.version for name, item in chosen.items()} == wanted


def version_texts(*locals_: str) -> st.SearchStrategy[str]:
    """Versions of every form, near each other."""
    parts = (
        ["", "1!"],
        ["0", "1", "1.0", "1.1", "2"],
        ["", "a1", "rc0", "rc1"],
        ["", ".post0"],
        ["", ".dev1"],
        ["", *locals_],
    )
    return st.tuples(*map(st.sampled_from, parts)).map("".join)


LIMITS = st.tuples(st.sampled_from([">=", "<", "<=", ">", "==", "!="]), version_texts()).map("".join)


@settings(max_examples=150)
@given(st.lists(version_texts("+x1"), max_size=10), st.lists(LIMITS, max_size=3).map(",".join))
def test_two_look_ups_find_what_packaging_says(texts: list[str], specifier: str) -> None:
    versions = sorted(map(Version, texts))
    expected = [place for place, version in enumerate(versions) if admits(specifier, str(version))]
    assert list(matching(versions, specifier)) == expected

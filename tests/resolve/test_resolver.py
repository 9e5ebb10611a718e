"""The resolver finds an answer exactly where there is one, prefers what a person would, and explains the rest."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.errors import ResolutionError, UnknownSkillError
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.resolve.resolver import resolve

DIGEST = "0" * 64
Graph = Mapping[str, Mapping[str, Mapping[str, str]]]  # name: version: required name: specifier


def pages(graph: Graph, yanked: Mapping[str, str | bool] | None = None) -> Callable[[str], Page | None]:
    def release(name: str, version: str, requires: Mapping[str, str]) -> Release:
        reason = (yanked or {}).get(f"{name}=={version}", False)
        return Release(version=version, archive=DIGEST, tree=DIGEST, size=0, requires=dict(requires), yanked=reason)

    found = {
        name: Page(name=name, releases=tuple(release(name, version, needs) for version, needs in versions.items()))
        for name, versions in graph.items()
    }
    return found.get


def versions(graph: Graph, *roots: str, **options: Any) -> dict[str, str]:
    yanked = options.pop("yanked", None)
    chosen = resolve([Requirement.parse(root) for root in roots], pages(graph, yanked), **options)
    return {name: release.version for name, release in chosen.items()}


ONE = {"a": {"1.0": {}, "1.1": {}, "2.0": {}}}


@pytest.mark.parametrize(
    ("roots", "version"),
    [(["a"], "2.0"), (["a<2"], "1.1"), (["a@1.0"], "1.0"), (["a>=1,<2", "a!=1.1"], "1.0"), (["a==1.*"], "1.1")],
)
def test_the_newest_release_that_satisfies_all_requirements_is_taken(roots: list[str], version: str) -> None:
    assert versions(ONE, *roots) == {"a": version}


def test_nothing_is_required_of_nothing() -> None:
    assert versions(ONE) == {}


def test_only_what_is_needed_is_chosen() -> None:
    graph = {"a": {"1.0": {"b": ">=1"}, "0.9": {"c": ""}}, "b": {"1.0": {}}, "c": {"1.0": {}}}
    assert versions(graph, "a") == {"a": "1.0", "b": "1.0"}


def test_an_older_release_is_taken_where_the_newest_does_not_fit() -> None:
    graph = {"a": {"1.0": {"c": "<2"}, "2.0": {"c": ">=2"}}, "b": {"1.0": {"c": "<2"}}, "c": {"1.0": {}, "2.0": {}}}
    assert versions(graph, "a", "b") == {"a": "1.0", "b": "1.0", "c": "1.0"}


def test_a_locked_version_is_kept_where_it_fits() -> None:
    assert versions(ONE, "a", preferred={"a": "1.1"}) == {"a": "1.1"}
    assert versions(ONE, "a>=2", preferred={"a": "1.1"}) == {"a": "2.0"}


def test_cycles_are_allowed() -> None:
    assert versions({"a": {"1.0": {"b": ""}}, "b": {"1.0": {"a": ">=1"}}}, "a") == {"a": "1.0", "b": "1.0"}


def test_a_prerelease_is_taken_only_where_nothing_else_fits_or_where_it_is_asked_for() -> None:
    graph = {"a": {"1.0": {}, "2.0rc1": {}}}
    assert versions(graph, "a") == {"a": "1.0"}
    assert versions(graph, "a>=2.0rc1") == {"a": "2.0rc1"}
    assert versions({"a": {"2.0rc1": {}}}, "a") == {"a": "2.0rc1"}
    assert versions(graph, "a>1.0") == {"a": "2.0rc1"}


def test_a_yanked_release_is_taken_only_by_exact_version_or_where_it_is_locked() -> None:
    yanked = {"a==2.0": "loses data"}
    assert versions(ONE, "a", yanked=yanked) == {"a": "1.1"}
    assert versions(ONE, "a==2.0", yanked=yanked) == {"a": "2.0"}
    assert versions(ONE, "a", yanked=yanked, preferred={"a": "2.0"}) == {"a": "2.0"}
    with pytest.raises(ResolutionError, match="yanked") as caught:
        versions(ONE, "a>=2", yanked=yanked)
    assert "a==2.0" in str(caught.value.hint)
    assert "loses data" in str(caught.value.hint)


def test_an_unknown_name_is_an_error_with_near_names() -> None:
    with pytest.raises(UnknownSkillError) as caught:
        versions(ONE, "aa", near=lambda name: ["a"])
    assert caught.value.exit_code == 2
    assert "`a`" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("graph", "roots", "facts", "hint"),
    [
        (ONE, ["a==9"], ["you require a==9", "only a 1.0, 1.1 and 2.0 are available"], "loosen"),
        (
            {"a": {"1.0": {"b": ">=2"}, "1.1": {"b": ">=2"}}, "b": {"1.0": {}, "2.0": {}}},
            ["a", "b<2"],
            ["every release of a requires b>=2", "you require b<2"],
            "loosen",
        ),
        ({"a": {"1.0": {"zz": ""}}}, ["a"], ["a 1.0 requires zz", "no index knows zz"], "zed"),
        ({"a": {"1.0": {"b": ">=2"}}, "b": {"2.0rc1": {}}}, ["a"], ["only b 2.0rc1 is available"], "b==2.0rc1"),
        ({"a": {"1.0": {"a": ">=2"}}}, ["a"], ["a 1.0 requires a>=2"], "loosen"),
        ({"a": {}}, ["a"], ["a has no release"], "loosen"),
    ],
)
def test_a_conflict_is_explained_by_facts_and_a_hint(
    graph: Graph, roots: list[str], facts: list[str], hint: str
) -> None:
    with pytest.raises(ResolutionError) as caught:
        versions(graph, *roots, near=lambda name: ["zed"])
    error = caught.value
    assert error.exit_code == 3
    for fact in facts:
        assert fact in error.details["causes"]
        assert fact in error.message
    assert hint in str(error.hint)


def test_many_releases_are_counted_instead_of_listed() -> None:
    graph = {"a": {f"1.{minor}": {} for minor in range(40)}}
    with pytest.raises(ResolutionError, match=r"\(40 releases\)"):
        versions(graph, "a>=2")


@functools.cache
def admits(specifier: str, version: str) -> bool:
    return Requirement("x", specifier).admits(version, prereleases=True)


def satisfies(graph: Graph, roots: list[Requirement], chosen: Mapping[str, str]) -> bool:
    """Does a choice meet every requirement, of the roots and of every chosen release?"""
    edges = [(root.name, root.specifier) for root in roots]
    for name, version in chosen.items():
        edges += graph[name][version].items()
    return all(name in chosen and admits(specifier, chosen[name]) for name, specifier in edges)


def solvable(graph: Graph, roots: list[Requirement]) -> bool:
    """Search all choices."""
    choices = itertools.product(*([None, *versions] for versions in graph.values()))
    return any(
        satisfies(graph, roots, {name: version for name, version in zip(graph, choice, strict=True) if version})
        for choice in choices
    )


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, list[Requirement]]:
    """Small graphs, cycles and self-requirements included."""
    names = "abcde"[: draw(st.integers(2, 5))]
    top = draw(st.integers(1, 4))
    numbers = range(1, top + 1)

    def specifier() -> str:
        low = draw(st.integers(1, top + 1))
        return f">={low},<={draw(st.integers(low, top + 1))}"

    graph = {
        name: {
            str(number): {other: specifier() for other in names if draw(st.integers(0, 9)) < 4} for number in numbers
        }
        for name in names
    }
    roots = [
        Requirement.of(name, specifier()) for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    ]
    return graph, roots


@settings(max_examples=250)
@given(graphs())
def test_the_answer_agrees_with_exhaustive_search(case: tuple[Graph, list[Requirement]]) -> None:
    graph, roots = case
    try:
        chosen = {name: release.version for name, release in resolve(roots, pages(graph)).items()}
    except ResolutionError as error:
        assert error.details["causes"]
        assert not solvable(graph, roots)
        return
    assert satisfies(graph, roots, chosen)
    reached, pending = set(), [root.name for root in roots]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += graph[name][chosen[name]]
    assert reached == set(chosen), "nothing is chosen that nobody needs"
    assert chosen == {name: release.version for name, release in resolve(roots[::-1], pages(graph)).items()}

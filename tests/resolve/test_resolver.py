"""The resolver finds an answer exactly where there is one, prefers what a person would, and explains the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from skillpm.errors import ResolutionError, UnknownSkillError
from skillpm.index.chain import ChainIndex
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


ONE: Graph = {"a": {"1.0": {}, "1.1": {}, "2.0": {}}}


@pytest.mark.parametrize(
    ("roots", "version"),
    [(["a"], "2.0"), (["a<2"], "1.1"), (["a@1.0"], "1.0"), (["a>=1,<2", "a!=1.1"], "1.0"), (["a==1.*"], "1.1")],
)
def test_the_newest_release_that_satisfies_all_requirements_is_taken(roots: list[str], version: str) -> None:
    assert versions(ONE, *roots) == {"a": version}


def test_nothing_is_required_of_nothing() -> None:
    assert versions(ONE) == {}


def test_only_what_is_needed_is_chosen() -> None:
    graph: Graph = {"a": {"1.0": {"b": ">=1"}, "0.9": {"c": ""}}, "b": {"1.0": {}}, "c": {"1.0": {}}}
    assert versions(graph, "a") == {"a": "1.0", "b": "1.0"}


def test_an_older_release_is_taken_where_the_newest_does_not_fit() -> None:
    graph: Graph = {
        "a": {"1.0": {"c": "<2"}, "2.0": {"c": ">=2"}},
        "b": {"1.0": {"c": "<2"}},
        "c": {"1.0": {}, "2.0": {}},
    }
    assert versions(graph, "a", "b") == {"a": "1.0", "b": "1.0", "c": "1.0"}


def test_a_locked_version_is_kept_where_it_fits() -> None:
    assert versions(ONE, "a", preferred={"a": "1.1"}) == {"a": "1.1"}
    assert versions(ONE, "a>=2", preferred={"a": "1.1"}) == {"a": "2.0"}


def test_cycles_are_allowed() -> None:
    assert versions({"a": {"1.0": {"b": ""}}, "b": {"1.0": {"a": ">=1"}}}, "a") == {"a": "1.0", "b": "1.0"}


def test_a_prerelease_is_taken_only_where_it_is_asked_for_or_where_only_they_exist() -> None:
    graph: Graph = {"a": {"1.0": {}, "2.0rc1": {}}, "b": {"1.0": {"a": ">=2.0rc1"}}}
    assert versions(graph, "a") == {"a": "1.0"}
    assert versions(graph, "a>=2.0rc1") == {"a": "2.0rc1"}
    assert versions({"a": {"2.0rc1": {}, "1.0.dev3": {}}}, "a") == {"a": "2.0rc1"}
    assert versions(graph, "a", preferred={"a": "2.0rc1"}) == {"a": "2.0rc1"}
    assert versions(graph, "b", "a>=1.0rc1") == {"a": "2.0rc1", "b": "1.0"}, (
        "asked for by a person, it is there for all"
    )
    for roots in (["a>1.0"], ["b"]):
        with pytest.raises(ResolutionError, match="pre-release") as caught:
            versions(graph, *roots)
        assert "`a==2.0rc1`" in str(caught.value.hint)


def test_a_yanked_release_is_taken_only_where_it_is_locked() -> None:
    yanked = {"a==2.0": "loses data"}
    assert versions(ONE, "a", yanked=yanked) == {"a": "1.1"}
    assert versions(ONE, "a", yanked=yanked, preferred={"a": "2.0"}) == {"a": "2.0"}
    assert versions(ONE, "a==2.0", yanked=yanked, preferred={"a": "2.0"}) == {"a": "2.0"}
    for root in ("a>=2", "a==2.0"):
        with pytest.raises(ResolutionError, match=r"a 2.0 was yanked \(loses data\)"):
            versions(ONE, root, yanked=yanked)


def test_a_scoped_name_is_another_name() -> None:
    graph: Graph = {"a": {"2.0": {}}, "acme/a": {"1.0": {}}, "b": {"1.0": {"acme/a": ""}}}
    assert versions(graph, "acme/a") == {"acme/a": "1.0"}
    assert versions(graph, "b", "a") == {"a": "2.0", "acme/a": "1.0", "b": "1.0"}
    with pytest.raises(ResolutionError):
        versions(graph, "acme/a>=2")


def test_the_first_registry_that_knows_a_name_answers_for_it_alone() -> None:
    """Whoever may publish elsewhere must not be able to offer a newer release of our name."""

    class Registry:
        def __init__(self, name: str, graph: Graph) -> None:
            self.name, self.remote, self._page = name, False, pages(graph)

        def page(self, name: str) -> Page | None:
            return self._page(name)

    team, public = Registry("team", {"a": {"1.0": {}}}), Registry("public", {"a": {"9.0": {}}, "b": {"1.0": {"a": ""}}})
    chain = ChainIndex([team, public])  # type: ignore[list-item]
    chosen = resolve([Requirement("b")], chain.page)
    assert {name: release.version for name, release in chosen.items()} == {"a": "1.0", "b": "1.0"}
    with pytest.raises(ResolutionError):
        resolve([Requirement("a", ">=2")], chain.page)


def test_each_page_is_asked_for_once() -> None:
    asked: list[str] = []
    page = pages({"a": {"1.0": {"b": ">=2"}, "2.0": {"b": ">=3"}}, "b": {"1.0": {}}})

    def ask(name: str) -> Page | None:
        asked.append(name)
        return page(name)

    with pytest.raises(ResolutionError):
        resolve([Requirement("a"), Requirement("b")], ask)
    assert sorted(asked) == ["a", "b"], "looking for hints costs no network"


def test_an_unknown_name_is_an_error_with_near_names() -> None:
    with pytest.raises(UnknownSkillError) as caught:
        versions(ONE, "aa", near=lambda name: ["a"])
    assert caught.value.exit_code == 2
    assert "`a`" in str(caught.value.hint)


def test_many_releases_are_counted_instead_of_listed() -> None:
    graph: Graph = {"a": {f"1.{minor}": {} for minor in range(40)}}
    with pytest.raises(ResolutionError, match=r"only a 1.0 to 1.39 \(40 releases\) are available"):
        versions(graph, "a>=2")

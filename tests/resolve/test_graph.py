"""Trees and paths agree with exhaustive search over any lock: nothing printed is untrue, nothing true is left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import BUNDLED
from skillpm.resolve.graph import Graph, Need, paths_to
from skillpm.resolve.outline import Mark, Row, outline

NAMES = ["a", "b", "c", "d", "e"]
SPECIFIERS = ["", ">=1", "<2"]


def entry(name: str, requires: dict[str, str]) -> LockedSkill:
    return LockedSkill(name=name, version="1.0", source=BUNDLED, archive="0" * 64, tree="0" * 64, requires=requires)


def lock_of(requirements: list[str], edges: dict[str, dict[str, str]]) -> Lock:
    skills = tuple(entry(name, requires) for name, requires in sorted(edges.items()))
    return Lock(requirements=tuple(requirements), skills=skills)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Any graph over five names, cycles, names that are required but not locked, and unreached skills among them."""
    locked = draw(st.lists(st.sampled_from(NAMES), unique=True))
    requires = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(SPECIFIERS))
    roots = st.lists(st.builds(str.__add__, st.sampled_from(NAMES), st.sampled_from(SPECIFIERS)), unique=True)
    return lock_of(draw(roots), {name: draw(requires) for name in locked})


def every_path(graph: Graph, path: tuple[Need, ...], name: str) -> Iterator[tuple[Need, ...]]:
    """The oracle: try everything."""
    if path[-1].name == name:
        yield path
        return
    for need in graph.of(path[-1].name):
        if need.name not in {step.name for step in path}:
            yield from every_path(graph, (*path, need), name)


@given(locks(), st.sampled_from(NAMES))
def test_the_paths_are_those_that_exhaustive_search_finds_shortest_first(lock: Lock, name: str) -> None:
    graph = Graph(lock)
    found = list(paths_to(graph, name))
    expected = [path for root in graph.roots for path in every_path(graph, (root,), name)]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert [len(path) for path in found] == sorted(len(path) for path in found)


def parents(rows: list[Row]) -> list[Row | None]:
    """The row above each row, read from depths alone, as a person reads indentation."""
    stack: list[Row] = []
    found: list[Row | None] = []
    for row in rows:
        del stack[row.depth :]
        found.append(stack[-1] if stack else None)
        stack.append(row)
    return found


@given(locks())
def test_the_tree_shows_every_requirement_once_and_nothing_else(lock: Lock) -> None:
    graph = Graph(lock)
    rows = outline(graph)
    shown = [
        (above.name if above else None, row.name, row.specifier)
        for row, above in zip(rows, parents(rows), strict=True)
        if row.mark is not Mark.ORPHAN
    ]
    edges = [(need.requirer, need.name, need.specifier) for need in graph.roots]
    edges += [(need.requirer, need.name, need.specifier) for name in graph.versions for need in graph.of(name)]
    assert sorted(map(repr, shown)) == sorted(map(repr, edges))
    assert {row.name for row in rows if row.version} == set(graph.versions)


@given(locks())
def test_the_inverted_tree_shows_every_requirement_of_a_locked_skill_once(lock: Lock) -> None:
    graph = Graph(lock)
    rows = outline(graph, invert=True)
    shown = [
        (row.name, above.name, row.specifier)
        for row, above in zip(rows, parents(rows), strict=True)
        if above is not None
    ]
    edges = [(need.requirer, name, need.specifier) for name in graph.versions for need in graph.on(name)]
    assert sorted(map(repr, shown)) == sorted(map(repr, edges))


@given(locks(), st.lists(st.sampled_from(NAMES), min_size=1), st.booleans())
def test_a_tree_of_names_begins_with_them_and_marks_the_last_of_each_parent(
    lock: Lock, names: list[str], invert: bool
) -> None:
    graph = Graph(lock)
    rows = outline(graph, names, invert=invert)
    assert [row.name for row in rows if row.depth == 0] == list(dict.fromkeys(names))
    above = parents(rows)
    for place, row in enumerate(rows):
        later = [item for other, item in enumerate(rows) if other > place and above[other] is above[place]]
        assert row.last == (not later)


@given(locks())
def test_a_cycle_is_named_where_it_closes(lock: Lock) -> None:
    rows = outline(Graph(lock))
    stack: list[Row] = []
    for row in rows:
        del stack[row.depth :]
        assert (row.mark is Mark.CYCLE) == (row.name in {item.name for item in stack} and row.version is not None)
        stack.append(row)


@pytest.mark.parametrize("invert", [False, True])
def test_a_chain_of_two_thousand_skills_needs_no_recursion(invert: bool) -> None:
    names = [f"s{number}" for number in range(2000)]
    edges = {name: {after: ""} for name, after in pairwise(names)} | {names[-1]: {}}
    graph = Graph(lock_of(["s0"], edges))
    assert len(outline(graph, invert=invert)) == 2000 + invert
    (path,) = paths_to(graph, names[-1])
    assert len(path) == 2000


def test_a_lattice_with_more_paths_than_anybody_can_count_gives_the_shortest_at_once() -> None:
    layers = 20
    edges: dict[str, dict[str, str]] = {"goal": {}}
    for layer in range(layers):
        below = {f"l{layer + 1}-{side}": "" for side in range(4)} if layer + 1 < layers else {"goal": ""}
        edges |= {f"l{layer}-{side}": below for side in range(4)}
    graph = Graph(lock_of(["goal", "l0-0"], edges))
    first, *others = islice(paths_to(graph, "goal"), 50)
    assert len(first) == 1
    assert {len(path) for path in others} == {layers + 1}
    with pytest.raises(OverflowError):
        list(paths_to(graph, "goal"))

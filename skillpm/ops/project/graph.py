"""``skillpm tree`` and ``skillpm why``: the dependencies in the lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from skillpm.ops.context import Context, locked_skills
from skillpm.resolve.graph import Graph, paths_to
from skillpm.resolve.outline import Row, outline


@dataclass(frozen=True, slots=True)
class DependencyTree:
    """The rows of an outline, in order. If inverted, each row requires the one above it."""

    inverted: bool
    rows: tuple[Row, ...]


def dependency_tree(context: Context, names: Sequence[str] = (), *, invert: bool = False) -> DependencyTree:
    """Return the dependency tree of the lock, from its requirements or from these names.

    Raises:
        UnknownSkillError: a name is not installed.
        LockOutOfDateError, DocumentError, StorageError: the lock cannot be read.
    """
    lock = context.lock()
    locked_skills(lock, names)
    return DependencyTree(invert, tuple(outline(Graph(lock), names, invert=invert)))


@dataclass(frozen=True, slots=True)
class Edge:
    """One skill on a path: its locked version, and the versions that the skill before it requires."""

    name: str
    version: str | None
    specifier: str


@dataclass(frozen=True, slots=True)
class Reasons:
    """The reasons why a skill is installed.

    Attributes:
        paths: from a requirement of the project to the skill, shortest first.
        complete: are these all paths?
    """

    name: str
    version: str
    paths: tuple[tuple[Edge, ...], ...]
    complete: bool


def why(context: Context, name: str, *, limit: int = 0) -> Reasons:
    """Return at most ``limit`` paths to an installed skill, or all if it is 0.

    Raises:
        UnknownSkillError: it is not installed.
        LockOutOfDateError, DocumentError, StorageError: the lock cannot be read.
    """
    lock = context.lock()
    (entry,) = locked_skills(lock, [name])
    graph = Graph(lock)
    edges: list[tuple[Edge, ...]] = []
    complete = True
    try:
        paths = islice(paths_to(graph, name), limit + 1 if limit else None)
        edges.extend(
            tuple(Edge(need.name, graph.versions.get(need.name), need.specifier) for need in path) for path in paths
        )
    except OverflowError:  # the list has the paths before it
        complete = False
    if limit and len(edges) > limit:
        edges, complete = edges[:limit], False
    return Reasons(name, entry.version, tuple(edges), complete)

"""The graph of a lock: who requires whom. Nothing here recurses, so no lock is too deep and no cycle too long."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skillpm.model.lock import Lock
from skillpm.model.requirement import Requirement

_BUDGET = 100_000  # partial paths that are looked at before the search for more of them ends


@dataclass(frozen=True, slots=True)
class Need:
    """One edge: who requires a name, and in which versions.

    Attributes:
        requirer: a locked name; None if the project itself requires it.
        specifier: PEP 440, empty for any version.
    """

    requirer: str | None
    name: str
    specifier: str


class Graph:
    """Who requires whom in a lock, in both directions."""

    def __init__(self, lock: Lock) -> None:
        self.versions = {entry.name: entry.version for entry in lock.skills}
        roots = sorted(Requirement.parse(text) for text in lock.requirements)
        self.roots = tuple(Need(None, root.name, root.specifier) for root in roots)
        self._of: dict[str, list[Need]] = {
            entry.name: [Need(entry.name, name, specifier) for name, specifier in sorted(entry.requires.items())]
            for entry in lock.skills
        }
        self._on: dict[str, list[Need]] = {}
        for need in (*self.roots, *(need for _, needs in sorted(self._of.items()) for need in needs)):
            self._on.setdefault(need.name, []).append(need)

    def of(self, requirer: str) -> list[Need]:
        """Return what a locked skill requires, by name."""
        return self._of.get(requirer, [])

    def on(self, name: str) -> list[Need]:
        """Return who requires a name: the project first, then skills by name."""
        return self._on.get(name, [])

    def distances(self, name: str) -> dict[str, int]:
        """Return how many steps each skill that needs a name, directly or not, is away from it."""
        found = {name: 0}
        pending = deque([name])
        while pending:
            here = pending.popleft()
            for need in self.on(here):
                if need.requirer is not None and need.requirer not in found:
                    found[need.requirer] = found[here] + 1
                    pending.append(need.requirer)
        return found


def paths_to(graph: Graph, name: str) -> Iterator[tuple[Need, ...]]:
    """Yield every path from a requirement of the project to a name, shortest first, then by the names on it.

    No path meets a skill twice. It is A* with the true distance as the estimate, so the next path is found without
    looking at longer ones. A graph may hold more paths than anybody can wait for.

    Raises:
        OverflowError: more partial paths were looked at than is reasonable; what was yielded stands.
    """
    away = graph.distances(name)
    waiting = [_entry((root,), away) for root in graph.roots if root.name in away]
    heapq.heapify(waiting)
    for _ in range(_BUDGET):
        if not waiting:
            return
        _, _, path = heapq.heappop(waiting)
        end = path[-1].name
        if end == name:
            yield path
            continue
        met = {need.name for need in path}
        for need in graph.of(end):
            if need.name in away and need.name not in met:
                heapq.heappush(waiting, _entry((*path, need), away))
    if waiting:
        raise OverflowError(f"more than {_BUDGET} partial paths")


def _entry(path: tuple[Need, ...], away: dict[str, int]) -> tuple[int, Sequence[tuple[str, str]], tuple[Need, ...]]:
    return len(path) + away[path[-1].name], [(need.name, need.specifier) for need in path], path

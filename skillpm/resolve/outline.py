"""A lock's graph as an indented outline.

A skill is opened once; where it comes again, or closes a cycle, it is only named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from skillpm.resolve.graph import Graph, Need


class Mark(StrEnum):
    """What is special about a row."""

    AGAIN = "shown above"
    CYCLE = "cycle"
    MISSING = "not locked"
    ORPHAN = "required by nothing"


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        depth: 0 for a root.
        name: a skill; None for the project itself, which stands at the ends of an inverted outline.
        version: the locked one, None if there is none.
        specifier: what the row above requires of this one; inverted, what this one requires of the row above.
        mark: what is special, if anything is.
        last: is it the last below its parent?
    """

    depth: int
    name: str | None
    version: str | None
    specifier: str
    mark: Mark | None
    last: bool
    json_keys: ClassVar = ("depth", "name", "version", "specifier", "mark")


def outline(graph: Graph, names: Sequence[str] = (), *, invert: bool = False) -> list[Row]:
    """Return the rows below these names.

    Without names, the rows begin with the project's requirements, or, inverted, with the skills that require nothing.
    Skills that are not reached from there become roots as well. ``invert`` goes from a skill to those that require it.
    """
    walk = _Walk(graph, invert=invert)
    if names:
        return list(walk.rows([Need(None, name, "") for name in dict.fromkeys(names)]))
    if invert:
        roots = [Need(None, name, "") for name in sorted(graph.versions) if not graph.of(name)]
    else:
        roots = list(graph.roots)
    return [*walk.rows(roots), *walk.unreached()]  # in this order: the second asks what the first has opened


class _Walk:
    """Depth first, with a stack of its own; remembers what was opened."""

    def __init__(self, graph: Graph, *, invert: bool) -> None:
        self._graph = graph
        self._invert = invert
        self._opened: set[str] = set()

    def rows(self, roots: Iterable[Need], mark: Mark | None = None) -> Iterator[Row]:
        """Yield the rows below some roots."""
        # A stack of its own, because a lock may be deeper than Python recurses. Rows come depth first, so the names
        # above a row are those last seen at lesser depths: cutting the list there climbs back up.
        above: list[str] = []
        stack = _pushed(list(roots), 0)
        while stack:
            need, depth, last = stack.pop()
            del above[depth:]
            name = need.requirer if self._invert and depth else need.name
            special = self._mark(name, above)
            version = self._graph.versions.get(name) if name is not None else None
            yield Row(depth, name, version, need.specifier, special or (mark if depth == 0 else None), last)
            if name is not None and not special:
                self._opened.add(name)
                above.append(name)
                stack += _pushed(self._below(name), depth + 1)

    def unreached(self) -> Iterator[Row]:
        """Yield what no row has named so far: cycles that nothing leads to, and what a hand has left in the lock."""
        for name in sorted(self._graph.versions):
            if name not in self._opened:
                yield from self.rows([Need(None, name, "")], None if self._invert else Mark.ORPHAN)

    def _below(self, name: str) -> list[Need]:
        return self._graph.on(name) if self._invert else self._graph.of(name)

    def _mark(self, name: str | None, above: list[str]) -> Mark | None:
        if name is None:
            return None
        if name not in self._graph.versions:
            return Mark.MISSING
        if name not in self._opened:  # most rows end here; only what comes again is looked for along its path
            return None
        if name in above:
            return Mark.CYCLE
        return Mark.AGAIN if self._below(name) else None  # where nothing is below, nothing is left out


def _pushed(needs: list[Need], depth: int) -> list[tuple[Need, int, bool]]:
    """Return needs as a stack holds them: the first on top, and the last one marked."""
    return [(need, depth, place == 0) for place, need in enumerate(reversed(needs))]

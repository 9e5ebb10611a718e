"""``skillpm tree``: what requires what, as the lock has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.ops.context import Context
from skillpm.ops.installed import locked_skills
from skillpm.resolve.graph import Graph
from skillpm.resolve.outline import Row, outline

__all__ = ["DependencyTree", "dependency_tree"]


@dataclass(frozen=True, slots=True)
class DependencyTree:
    """The rows of an outline, in order; inverted, each row requires the one above it."""

    rows: tuple[Row, ...]
    inverted: bool

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it; a row's ``depth`` says below which row it stands."""
        return {
            "inverted": self.inverted,
            "rows": [
                {
                    "depth": row.depth,
                    "name": row.name,
                    "version": row.version,
                    "specifier": row.specifier,
                    "mark": str(row.mark) or None,
                }
                for row in self.rows
            ],
        }


def dependency_tree(context: Context, names: Sequence[str] = (), *, invert: bool = False) -> DependencyTree:
    """Return the tree of the project's lock, from its requirements or from the given names.

    Raises:
        UnknownSkillError: a name is not installed.
        LockOutOfDateError, DocumentError, StorageError: the lock cannot be read.
    """
    lock = context.lock()
    locked_skills(lock, names)
    return DependencyTree(tuple(outline(Graph(lock), names, invert=invert)), invert)

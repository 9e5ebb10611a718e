"""What a family proposes as a row."""

from __future__ import annotations

from typing import Any, NamedTuple

from skillpm.model.task import Origin


class Offer(NamedTuple):
    """A request with its target.

    Attributes:
        values: that rows of the other side may not show.
        first: the targets of the answers before the last one.
    """

    family: str
    request: str
    target: Any
    origin: Origin = "rule"
    tags: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    first: tuple[Any, ...] = ()

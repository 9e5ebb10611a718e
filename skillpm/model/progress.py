"""How far long work is: who is told, and the figures that are shown beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a person sees while work goes on, such as a loss.

    Attributes:
        unit: ``B`` for bytes, ``/s`` for a speed, else empty.
    """

    name: str
    value: float
    unit: Literal["", "B", "/s"] = ""


class Progress(Protocol):
    """Reports the progress of long work."""

    def start(self, title: str, total: int | None) -> None:
        """A piece of work begins; ``total`` is None if it cannot be known."""

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        """``count`` more are done."""

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        """The piece of work is done; ``seconds`` is what it took where that is worth a word."""


class NoProgress:
    """Progress that nobody is told of."""

    def start(self, title: str, total: int | None) -> None:
        """Do nothing, as all methods."""

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        """Do nothing."""

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        """Do nothing."""


NO_PROGRESS = NoProgress()

"""Rewards: named functions from (task, episode, verdict) to a number or None."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.verdict import Verdict

__all__ = ["RewardFunction"]


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """One named way to pay.

    Attributes:
        name: unique within its skill; a trainer sees ``skill:name``.
        function: returns a finite number, or None where the reward does not apply.
        default: is this the one a recipe gets when it names none?
    """

    name: str
    function: Callable[[Task, Episode, Verdict], float | None]
    default: bool = False

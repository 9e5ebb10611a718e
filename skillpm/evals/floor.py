"""Floors: what an earlier evaluation was shown to reach on its task sets is the least that a later one has to."""

from __future__ import annotations

from dataclasses import dataclass

from skillpm.evals.figures import Cell, figures, task_set_label
from skillpm.evals.statistics import Interval
from skillpm.model.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of one task set, and what a candidate reached on it.

    Attributes:
        place: the skill and the task set, as a person reads them.
        least: the lower end of the earlier 95 % interval (Wilson, clustered as in every figure).
        reached: the candidate's share of exact answers; None where nothing could be judged.
        judged: how many answers of the candidate were.
        open: how many were not asked, or could not be judged.
    """

    place: str
    least: float
    reached: Interval | None
    judged: int
    open: int


def floors(earlier: Evaluation, arm: str, candidate: Evaluation, candidate_arm: str) -> list[Floor]:
    """Return the floors of an earlier arm, with what an arm of the candidate reached."""
    reached = {
        (row.task_set.skill, row.task_set.name): row.cells[candidate_arm]
        for row in figures(candidate)
        if candidate_arm in row.cells
    }
    found = []
    for row in figures(earlier):
        cell, place = row.cells.get(arm), (row.task_set.skill, row.task_set.name)
        if cell is not None and cell.exact is not None:
            label = f"{place[0]}, {task_set_label(place[1])}"
            found.append(_floor(label, cell.exact.low, reached.get(place)))
    return found


def _floor(place: str, least: float, cell: Cell | None) -> Floor:
    if cell is None:
        return Floor(place, least, None, 0, 0)
    return Floor(place, least, cell.exact, cell.judged, cell.errored + cell.not_asked)

"""Floors: what an earlier evaluation was shown to reach on its task sets is the least that a later one has to."""

from __future__ import annotations

from dataclasses import dataclass

from skillpm.evals.figures import Cell, figures, task_set_label
from skillpm.evals.outcomes import TaskPlaces
from skillpm.evals.statistics import Interval
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.evaluation import Arm, Evaluation


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of one task set, and what a candidate reached on it.

    Attributes:
        place: the skill and the task set, as a person reads them.
        least: the lower end of the earlier 95 % interval (Wilson, clustered as in every figure).
        reached: the candidate's share of exact answers; None where nothing could be judged.
        judged: how many answers of the candidate were.
        open: how many were not asked, or could not be judged.
        other: how many tasks only one of the two was asked: a floor holds for the tasks that it is of.
    """

    place: str
    least: float
    reached: Interval | None
    judged: int
    open: int
    other: int


def floors(earlier: Evaluation, arm: Arm, candidate: Evaluation, candidate_arm: Arm) -> list[Floor]:
    """Return the floors of an earlier arm, with what an arm of the candidate reached."""
    reached = {
        (row.task_set.skill, row.task_set.name): row.cells[candidate_arm.name]
        for row in figures(candidate)
        if candidate_arm.name in row.cells
    }
    found = []
    for row in figures(earlier):
        cell, place = row.cells.get(arm.name), (row.task_set.skill, row.task_set.name)
        if cell is not None and cell.exact is not None:
            found.append(_floor(place, cell.exact.low, reached.get(place), _of_one_alone(arm, candidate_arm, place)))
    return found


def _of_one_alone(first: Arm, second: Arm, place: tuple[str, str]) -> int:
    """Return how many tasks of a task set only one of two arms answered."""
    parts = [outcomes_of(arm).whole().only(lambda profile: profile.is_of(place)) for arm in (first, second)]
    tasks, others, answers = parts[0].outcomes.tasks, parts[1].outcomes.tasks, TaskPlaces(parts[1])
    found = (others.find(tasks.digest(task)) for task in TaskPlaces(parts[0]))
    return sum(part.tasks for part in parts) - 2 * sum(number >= 0 and bool(answers.of(number)) for number in found)


def _floor(place: tuple[str, str], least: float, cell: Cell | None, other: int) -> Floor:
    label = f"{place[0]}, {task_set_label(place[1])}"
    if cell is None:
        return Floor(label, least, None, 0, 0, other)
    return Floor(label, least, cell.exact, cell.judged, cell.asked - cell.judged + cell.not_asked, other)

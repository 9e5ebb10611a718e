"""Gates: the least that a suite's author wants reached before a model is let through."""

from __future__ import annotations

from dataclasses import dataclass

from skillpm.evals.figures import arm_label, figures
from skillpm.model.evaluation import Evaluation
from skillpm.model.suite import Gate

_NAMES = {"exact_match": "exact match", "reward": "reward", "valid_json": "valid JSON"}


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate and what was reached.

    Nothing is let through unseen: a gate does not pass while an answer could not be judged, nor where none was.
    """

    skill: str
    suite: str
    arm: str
    gate: Gate
    reached: float | None
    errored: int = 0

    @property
    def passed(self) -> bool:
        """Was the gate reached?"""
        return self.reached is not None and self.errored == 0 and self.reached >= self.gate.at_least

    @property
    def sentence(self) -> str:
        """Say what was asked and what was reached."""
        metric = _NAMES[self.gate.metric]
        outcome = "nothing could be judged" if self.reached is None else f"{metric} is {self.reached:.3f}"
        if self.errored and self.reached is not None:
            outcome += f" and {self.errored} answer{'s' * (self.errored > 1)} could not be judged"
        place = f"{self.skill}, suite {self.suite}, {arm_label(self.arm)}"
        return f"{place}: {outcome}, the gate asks for {self.gate.at_least:g}"


def check_gates(evaluation: Evaluation, arm: str) -> list[GateResult]:
    """Hold every gate of the evaluated suites against one arm."""
    results = []
    for row in figures(evaluation):
        task_set = row.task_set
        if task_set.gate is None:
            continue
        cell = row.cells.get(arm)
        figure = cell.metric(task_set.gate.metric) if cell else None
        reached = None if figure is None else figure.estimate
        errored = cell.errored if cell else 0
        results.append(GateResult(task_set.skill, task_set.name, arm, task_set.gate, reached, errored))
    return results

"""Gates: the least that a suite's author wants reached before a model is let through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skillpm.evals.compare import MINIMUM_PAIRS
from skillpm.evals.figures import arm_label, figures
from skillpm.evals.statistics import Interval
from skillpm.model.evaluation import Evaluation
from skillpm.model.suite import Gate

_NAMES = {"exact_match": "exact match", "reward": "reward", "valid_json": "valid JSON"}


Outcome = Literal["passed", "failed", "inconclusive"]
MINIMUM_ANSWERS = MINIMUM_PAIRS


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate and what was reached.

    A gate passes where even the lower end of the 95 % interval reaches it, and fails where not even the upper end does.
    In between, with fewer than ``MINIMUM_ANSWERS``, or while an answer was not judged or not asked for, it is
    inconclusive and does not pass.

    Attributes:
        unjudged: answers that could not be judged, or that the verifier abstained from.
    """

    skill: str
    suite: str
    arm: str
    gate: Gate
    figure: Interval | None
    judged: int
    unjudged: int = 0
    not_asked: int = 0

    @property
    def reached(self) -> float | None:
        """The estimate; None where nothing could be judged."""
        return None if self.figure is None else self.figure.estimate

    @property
    def low(self) -> float | None:
        """The lower end of the interval; None where nothing could be judged."""
        return None if self.figure is None else self.figure.low

    @property
    def outcome(self) -> Outcome:
        """What the interval says of the gate."""
        if self.figure is None or self.unjudged or self.not_asked or self.judged < MINIMUM_ANSWERS:
            return "inconclusive"
        if self.figure.low >= self.gate.at_least:
            return "passed"
        return "failed" if self.figure.high < self.gate.at_least else "inconclusive"

    @property
    def passed(self) -> bool:
        """Was the gate reached?"""
        return self.outcome == "passed"

    @property
    def sentence(self) -> str:
        """Say what was asked and what was reached."""
        metric, figure = _NAMES[self.gate.metric], self.figure
        if figure is None:
            outcome = "nothing could be judged"
        else:
            outcome = f"{metric} is {figure.estimate:.3f} [{figure.low:.3f}, {figure.high:.3f}] of {self.judged}"
        if self.unjudged and figure is not None:
            outcome += f" and {self.unjudged} answer{'s' * (self.unjudged > 1)} could not be judged"
        if self.not_asked:
            outcome += f" and {self.not_asked} {'was' if self.not_asked == 1 else 'were'} not asked"
        if self.judged < MINIMUM_ANSWERS:
            outcome += f", {MINIMUM_ANSWERS} answers are the least that say anything"
        place = f"{self.skill}, suite {self.suite}, {arm_label(self.arm)}"
        verdict = "" if self.passed else f": {self.outcome}"
        return f"{place}: {outcome}, the gate asks for {self.gate.at_least:g} at the lower end{verdict}"


def check_gates(evaluation: Evaluation, arm: str) -> list[GateResult]:
    """Hold every gate of the evaluated suites against one arm."""
    results = []
    for row in figures(evaluation):
        task_set = row.task_set
        if task_set.gate is None:
            continue
        cell = row.cells.get(arm)
        figure = cell.metric(task_set.gate.metric) if cell else None
        counts = (cell.judged, cell.asked - cell.judged, cell.not_asked) if cell else (0, 0, 0)
        results.append(GateResult(task_set.skill, task_set.name, arm, task_set.gate, figure, *counts))
    return results

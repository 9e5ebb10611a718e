"""From what a stage reports of its steps to metrics.jsonl and a progress display."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from skillpm.model.ports import Progress

_SHOWN = {"loss": "loss", "mean_token_accuracy": "accuracy", "reward": "reward", "completions/mean_length": "length"}


class StageReport:
    """The ``report`` of a stage's input.

    Args:
        stage: its name, which stands in every row.
        log: takes one row of finite numbers.
        progress: shows it.
        logged: step and names of the rows that are there already: a resumed stage repeats its last steps.
    """

    def __init__(
        self,
        stage: str,
        log: Callable[[Mapping[str, Any]], None],
        progress: Progress,
        logged: Collection[tuple[int, frozenset[str]]] = (),
    ) -> None:
        self._logged = logged
        self._stage = stage
        self._log = log
        self._progress = progress
        self._done = 0

    def __call__(self, step: int, figures: Mapping[str, Any]) -> None:
        """Write a row, of what is a finite number, and move the bar."""
        numbers = {k: v for k, v in figures.items() if isinstance(v, int | float) and math.isfinite(v)}
        row = {**numbers, "stage": self._stage, "step": step}
        if (step, frozenset(row)) not in self._logged:
            self._log(row)
        if step > self._done:
            note = "  ".join(f"{name} {numbers[key]:.3g}" for key, name in _SHOWN.items() if key in numbers)
            self._progress.advance(step - self._done, note)
            self._done = step

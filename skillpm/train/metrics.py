"""From what a stage reports of its steps to metrics.jsonl and a progress display, and back from the file."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from skillpm.errors import TrainingError
from skillpm.model.progress import Figure, Progress

_HELD_OUT = "validation_after"  # what greedy answers to the validation rows are worth, when a stage has ended
_SHOWN = {
    "loss": "loss",
    "mean_token_accuracy": "accuracy",
    "reward": "reward",
    "groups/live": "live",
    "completions/mean_length": "length",
    _HELD_OUT: "held-out",
    "exact": "exact",
    "score": "held-out",
}
_TOKENS = "num_tokens"  # that a stage has seen
_GRADIENT = "grad_norm"


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run's metrics.jsonl; a line that a crash cut short is left out."""
    try:
        lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        if isinstance(row, dict) and isinstance(row.get("stage"), str) and isinstance(row.get("step"), int):
            yield row


class StageReport:
    """The ``report`` of a stage's input.

    Args:
        stage: its name, which stands in every row.
        log: takes one row of finite numbers.
        progress: shows it.
        memory: returns the bytes that the work has taken at most.
        logged: step and names of the rows that are there already: a resumed stage repeats its last steps.
    """

    def __init__(
        self,
        stage: str,
        log: Callable[[Mapping[str, Any]], None],
        progress: Progress,
        memory: Callable[[], int],
        logged: Collection[tuple[int, frozenset[str]]] = (),
    ) -> None:
        self._logged = logged
        self._stage = stage
        self._log = log
        self._progress = progress
        self._done = 0
        self._begun = time.monotonic()
        self._memory = memory
        self._first: tuple[float, float] | None = None

    def __call__(self, step: int, figures: Mapping[str, Any]) -> None:
        """Write a row, of what is a finite number, and move the bar.

        Raises:
            TrainingError: the weights are lost, before they take the place of a checkpoint.
        """
        numbers = {k: v for k, v in figures.items() if isinstance(v, int | float)}
        if not math.isfinite(numbers.get(_GRADIENT, 0.0)):
            raise TrainingError(
                f"stage {self._stage}: the gradient of step {step} is not finite",
                hint=f"lower the learning rate: --set stages.{self._stage}.learning_rate=1e-5",
            )
        numbers = {k: v for k, v in numbers.items() if math.isfinite(v)}
        if _TOKENS in numbers:
            numbers["seconds"] = round(time.monotonic() - self._begun, 1)
        row = {**numbers, "stage": self._stage, "step": step}
        if (step, frozenset(row)) not in self._logged:
            self._log(row)
        if step > self._done or _HELD_OUT in numbers:
            self._progress.advance(step - self._done, figures=tuple(self._figures(numbers)))
            self._done = step

    def _figures(self, numbers: Mapping[str, float]) -> Iterator[Figure]:
        """Yield what a person sees of a step: its figures, then the speed, and the memory, which no file has."""
        yield from (Figure(name, numbers[key]) for key, name in _SHOWN.items() if key in numbers)
        now, tokens = time.monotonic(), numbers.get(_TOKENS)
        if tokens is not None:
            begun, before = self._first = self._first or (now, tokens)
            if now > begun:
                yield Figure("tokens/s", (tokens - before) / (now - begun), "/s")
        yield Figure("memory", self._memory(), "B")

"""From a trainer's log to a stage's report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

_WRONG = {"num_tokens"}  # TRL sums the attention mask, which here is a matrix


class Watch(TrainerCallback):
    """Reports each optimiser step.

    Args:
        report: takes the number of steps that are done, and figures.
    """

    def __init__(self, report: Callable[[int, Mapping[str, Any]], None]) -> None:
        self._report = report
        self._done = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Report a step, once."""
        figures = {name: figure for name, figure in (logs or {}).items() if name not in _WRONG}
        if state.global_step > self._done and "loss" in figures:
            self._report(state.global_step, figures)
            self._done = state.global_step


def silence(trainer: Any) -> None:
    """Take the trainer's own printing away."""
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)

"""From a trainer's log to metrics.jsonl and a progress display."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from skillpm.model.ports import Progress

__all__ = ["Watch", "silence"]

_SHOWN = {"loss": "loss", "mean_token_accuracy": "accuracy", "reward": "reward", "completions/mean_length": "length"}
_WRONG = {"num_tokens"}  # TRL sums the attention mask, which here is a matrix


class Watch(TrainerCallback):
    """Reports each optimiser step.

    Args:
        stage: its name, which stands in every row.
        log: takes one row of finite numbers.
        progress: shows it.
    """

    def __init__(self, stage: str, log: Callable[[Mapping[str, Any]], None], progress: Progress) -> None:
        self._stage = stage
        self._log = log
        self._progress = progress
        self._done = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write a row and move the bar."""
        numbers = {
            k: v for k, v in (logs or {}).items() if k not in _WRONG and isinstance(v, int | float) and math.isfinite(v)
        }
        if state.global_step <= self._done or "loss" not in numbers:
            return
        self._log({"stage": self._stage, "step": state.global_step, **numbers})
        note = "  ".join(f"{name} {numbers[key]:.3g}" for key, name in _SHOWN.items() if key in numbers)
        self._progress.advance(state.global_step - self._done, note)
        self._done = state.global_step


def silence(trainer: Any) -> None:
    """Take the trainer's own printing away."""
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)

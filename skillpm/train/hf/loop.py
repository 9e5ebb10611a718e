"""The one loop in which every built-in stage trains: its arguments, its checkpoints, and what is reported of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from skillpm.model.training import StageInput
from skillpm.train.hf.checkpoint import train_on
from skillpm.train.hf.zero import end_zero, zero_arguments

_TOKENS = "num_tokens"


def shared_arguments(given: StageInput) -> dict[str, Any]:
    """Return the arguments that the configurations of all trainers have in common."""
    return {
        **zero_arguments(),
        "output_dir": str(given.work),
        "seed": given.seed,
        "bf16": False,
        "activation_checkpointing": False,
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "none",
        "save_strategy": "no",
        "remove_unused_columns": False,
        "ddp_broadcast_buffers": False,  # processes need not ask the model equally often
    }


def on_one_device(arguments: Any) -> Any:
    """Return arguments of a trainer that uses the first GPU where several are visible.

    TRL refuses several in one process; the trainer of transformers would copy the model to each of them.
    """
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def run_loop(trainer: Any, given: StageInput) -> int:
    """Train to the end, from the newest checkpoint where there is one, and return the optimiser steps.

    Raises:
        StorageError: a checkpoint cannot be written.
        KeyboardInterrupt: Ctrl-C came; the last step is saved.
    """
    trainer.add_callback(_Watch(given.report))
    silence(trainer)
    try:
        train_on(trainer, given)
    finally:
        end_zero(trainer)
    return int(trainer.state.global_step)


class _Watch(TrainerCallback):
    """Reports each optimiser step.

    Args:
        report: takes the number of steps that are done, and figures.
    """

    def __init__(self, report: Callable[[int, Mapping[str, Any]], None]) -> None:
        self._report = report
        self._done = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Report a step, once."""
        figures = {name: figure for name, figure in (logs or {}).items() if name != _TOKENS}
        if state.num_input_tokens_seen:  # a checkpoint has it; what DPO's trainer counts begins anew
            figures[_TOKENS] = state.num_input_tokens_seen
        if state.global_step > self._done and "loss" in figures:
            self._report(state.global_step, figures)
            self._done = state.global_step


def silence(trainer: Any) -> None:
    """Take the trainer's own printing away."""
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)

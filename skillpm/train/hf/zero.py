"""ZeRO of DeepSpeed: each process has the whole model, a share of the optimiser and, in stage 2, of the gradients.

The trainers of transformers and TRL do it through accelerate, which takes it from variables of the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from accelerate.state import AcceleratorState

from skillpm.errors import TrainingError, UsageError
from skillpm.train.hf.model import reason_of

_USED, _SETTINGS = "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_DEEPSPEED_CONFIG_FILE"
_OF_A_STAGE = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")


def use_zero(settings: Mapping[str, Any]) -> None:
    """Have every trainer of this process, which is connected with the others, share its optimiser out.

    Args:
        settings: what DeepSpeed calls ``zero_optimization``.

    Raises:
        TrainingError: DeepSpeed is not installed, or cannot be imported.
        UsageError: it does not know a setting.
    """
    on_cpu = not torch.cuda.is_available()
    os.environ.setdefault("DS_ACCELERATOR", "cpu" if on_cpu else "cuda")
    try:
        import deepspeed
        from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
    except ImportError as error:
        raise TrainingError(
            f"`distributed_type: DEEPSPEED` needs what is not installed: {error}",
            hint="pip install 'skillpm-core[deepspeed]'",
        ) from None
    except Exception as error:  # noqa: BLE001  it looks for compilers, CUDA and drivers, each with errors of its own
        raise TrainingError(
            f"`distributed_type: DEEPSPEED` needs DeepSpeed, which cannot be imported here: {reason_of(error)}",
            hint="`python -c 'import deepspeed'` shows what it lacks; `distributed_type: MULTI_GPU` does without it",
        ) from None
    try:
        DeepSpeedZeroConfig(**settings)
    except ValueError as error:
        raise UsageError(f"DeepSpeed refuses `zero_optimization`: {reason_of(error)}", hint="remove it") from None
    if on_cpu:  # it would compile for minutes what gloo does as well
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    os.environ.pop("ACCELERATE_USE_CPU", None)
    os.environ[_USED] = "true"
    os.environ[_SETTINGS] = json.dumps({"zero_optimization": dict(settings), **dict.fromkeys(_OF_A_STAGE, "auto")})


def uses_zero() -> bool:
    """Do trainers of this process share their optimiser out?"""
    return _USED in os.environ


def zero_arguments() -> dict[str, Any]:
    """Return what a trainer is told besides where it shares its optimiser out; each has an accelerator of its own.

    accelerate alone would see one process on a CPU, so the connection that stands is kept.
    """
    if not uses_zero():
        return {}
    AcceleratorState._reset_state()
    return {"accelerator_config": {"use_configured_state": True}}


def end_zero(trainer: Any) -> None:
    """Take what DeepSpeed put onto a model off it: hooks, and ways to a state that the next stage has no use for."""
    engine = getattr(trainer, "deepspeed", None)
    if engine is None:
        return
    engine.destroy()
    for hook in (engine.module_forward_pre_hook, engine.module_forward_post_hook):
        hook.remove()
    for weight in trainer.model.parameters():
        weight.__dict__.pop("_zero_optimizer", None)

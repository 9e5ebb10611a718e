"""The output layer only where a token is learned.

TRL's fused head scores labelled positions alone on devices with Triton, and every position elsewhere, so that compilers
with fixed shapes need not run again. An eager CPU has no such compiler: there the head, a fifth of a small model, is
run on every prompt token and thrown away. The result is the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from trl.trainer import utils

__all__ = ["labelled_positions_only"]


@contextmanager
def labelled_positions_only() -> Iterator[None]:
    """Let TRL's fused head score labelled positions only, on the CPU as on Triton devices."""
    original = utils._use_triton

    def compact(device: torch.device) -> Any:
        return device.type == "cpu" or original(device)

    utils._use_triton = compact
    try:
        yield
    finally:
        utils._use_triton = original

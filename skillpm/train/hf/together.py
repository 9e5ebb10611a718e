"""Processes that train one model together: what they tell each other. A process that is alone is the first of one."""

from __future__ import annotations

import os
from typing import Any, TypeVar, cast

import torch.distributed as dist

T = TypeVar("T")


def count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def place() -> int:
    """Return the number of this process, from 0; the first alone writes and reports."""
    return dist.get_rank() if count() > 1 else 0


def machines() -> int:
    """Return on how many machines processes train together."""
    return int(os.environ.get("GROUP_WORLD_SIZE", "1"))


def machine() -> int:
    """Return the number of this machine, from 0; the run folder is on the first."""
    return int(os.environ.get("GROUP_RANK", "0"))


def leads_machine() -> bool:
    """Is this process the first of its machine?"""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def gathered(item: T) -> list[T]:
    """Return what each process has here, in the order of their numbers; each of them asks."""
    if count() == 1:
        return [item]
    items: list[Any] = [None] * count()
    dist.all_gather_object(items, item)
    return items


def agreed(item: T) -> T:
    """Return what the first process has here; each of them asks."""
    if count() == 1:
        return item
    box: list[Any] = [item]
    dist.broadcast_object_list(box, src=0)
    return cast("T", box[0])


def meet() -> None:
    """Wait until all processes are here."""
    gathered(None)


def summed(*numbers: float) -> list[float]:
    """Return the sums over all processes."""
    return [sum(column) for column in zip(*gathered(numbers), strict=True)]


def passes(rows: int, most: int) -> dict[str, int]:
    """Return what a trainer is told so that one step has so many rows, of all processes together.

    Args:
        rows: of one step; each process has the same share.
        most: rows in one pass of a process.
    """
    own = rows // count()
    size = next(size for size in range(min(most, own), 0, -1) if own % size == 0)
    return {"per_device_train_batch_size": size, "gradient_accumulation_steps": own // size}

"""A model of which each process has a share: weights, gradients and moments of the optimiser, by FSDP2 of torch.

A layer is put together from its shares when it runs, and taken apart again. That takes all processes, so all of them
have to run the model equally often. Where each samples its own answers, the model is whole on each for that while.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from skillpm.train.hf.together import count, place

_M_MMAP_THRESHOLD, _LARGE = -3, 2**20  # of mallopt; bytes


def shard(model: Any, layers: Sequence[Any], device: str) -> None:
    """Give each process its share of a model that lies in the memory of each, and put it onto the device.

    Args:
        model: of transformers.
        layers: of it, which are put together one after the other.
        device: ``cuda`` or ``cpu``.
    """
    if device == "cpu":
        _give_back_what_is_freed()
    mesh = init_device_mesh(device, (count(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model._is_distributed_loading_by_transformers = True  # its Trainer leaves such a model as it is


def _give_back_what_is_freed() -> None:
    """Have the C library give large pieces of memory back to the system, where it would keep them for the next.

    Layers are put together and taken apart in turn. glibc keeps pieces of up to 32 MB that were freed, between others
    that were not: two shares of 37 million parameters took 1.4 GB each, and take 0.9.
    """
    if change := getattr(ctypes.CDLL(None), "mallopt", None):
        change(_M_MMAP_THRESHOLD, _LARGE)


def is_sharded(model: Any) -> bool:
    """Has each process a share of this model?"""
    return isinstance(model, FSDPModule)


@contextmanager
def whole_model(model: Any) -> Iterator[None]:
    """Have all weights of a model on each process for a while, which may then run it as often as it likes."""
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(part is not model, recurse=False)


def own_share(value: torch.Tensor) -> torch.Tensor:
    """Return the share of a weight that this process has; all of one that is not shared."""
    return value.to_local() if isinstance(value, DTensor) else value


def share_of(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return what this process has of a value that belongs to a weight, such as a moment of it."""
    if not isinstance(weight, DTensor) or isinstance(value, DTensor) or value.shape != weight.shape:
        return value
    return distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)


def set_shares(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a model some of its own weights, by name: whole ones, of which each process takes its share, or shares."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name in own.keys() & weights.keys():
            own_share(own[name]).copy_(own_share(share_of(weights[name], own[name])))


def whole_state(value: Any) -> Any:
    """Return a state with whole values in the memory of the first process, and None on the others; all call this."""
    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.cpu() if place() == 0 else None
    if isinstance(value, Mapping):
        return {name: whole_state(part) for name, part in value.items()}
    return [whole_state(part) for part in value] if isinstance(value, list) else value

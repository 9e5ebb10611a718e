"""Parts of one pass side by side on a CPU, each in a thread of Python that computes with its share of the cores.

Torch divides every operation among its threads, and they wait for each other thousands of times a pass. A thread that
sleeps meanwhile takes longer to wake than a small operation takes, and one that spins takes the time of whatever else
runs on its core. Parts of a pass wait for each other once. docs/decisions/cores.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from itertools import accumulate
from typing import Any, TypeVar

import torch
from peft.tuners.lora.layer import ParamWrapper

from skillpm.train.hf.sharded import is_sharded
from skillpm.train.hf.zero import uses_zero

P = TypeVar("P")
T = TypeVar("T")


def most_parts(model: Any) -> int:
    """Return in how many parts a pass of a model may run: as many as torch has threads, or 1."""
    return 1 if model.device.type != "cpu" or _changes_itself(model) else torch.get_num_threads()


def _changes_itself(model: Any) -> bool:
    """Does a pass change the model while it runs? A trial shows that only where two passes happen to meet there.

    FSDP takes weights apart, DeepSpeed counts passes, PEFT puts an update into a matrix of experts and takes it out
    again, and some rotary embeddings set their frequencies by the longest row.
    """
    changed = any(isinstance(part, ParamWrapper) or _rescales(part) for part in model.modules())
    return changed or is_sharded(model) or uses_zero()


def _rescales(layer: torch.nn.Module) -> bool:
    kind = str(getattr(layer, "rope_type", ""))  # one, or one for each kind of layer
    return "dynamic" in kind or "longrope" in kind


def evenly(items: Sequence[P], sizes: Sequence[int], parts: int) -> list[list[P]]:
    """Divide items, in their order, into at most so many parts whose sizes add up to about the same."""
    whole, found = sum(sizes), [list[P]() for _ in range(parts)]
    for item, size, end in zip(items, sizes, accumulate(sizes), strict=True):
        found[min(parts - 1, int((end - size / 2) * parts / whole))].append(item)
    return [part for part in found if part]


def together(run: Callable[[P], T], parts: Sequence[P]) -> list[T]:
    """Return what ``run`` gives for each part; one part alone runs in the thread that asks.

    Context variables, and whether gradients are recorded, are as in the thread that asks. Where a part fails, all the
    others have ended before its error is raised: who catches it may change the model.
    """
    if len(parts) == 1:
        return [run(parts[0])]
    learns, inference, every = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()
    cores = max(1, every // len(parts))

    def run_part(part: P) -> T:
        if torch.get_num_threads() != cores:
            torch.set_num_threads(cores)
        with torch.inference_mode(inference), torch.set_grad_enabled(learns):
            return run(part)

    running = [_threads(every).submit(copy_context().run, run_part, part) for part in parts]
    try:
        return [done.result() for done in running]
    finally:
        wait(running)
        torch.set_num_threads(every)  # a thread that computes for the first time takes over what was set last anywhere


@cache
def _threads(most: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(most)


def side_by_side(run: Callable[[P], torch.Tensor], parts: Sequence[P], model: Any) -> torch.Tensor:
    """Return what ``run`` gives for each part, one behind the other along the first dimension; differentiable.

    The gradients of the parts are added in their order, so that they are the same each time.

    Args:
        run: depends on what of the model is learned, and on nothing else that is.
        parts: of a pass.
        model: that ``run`` asks.
    """
    if not torch.is_grad_enabled():
        return torch.cat(together(run, parts))
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    found: torch.Tensor = _SideBySide.apply(run, parts, *learned)  # type: ignore[no-untyped-call]
    return found


class _SideBySide(torch.autograd.Function):
    """The graphs of the parts, which the graph of the whole pass knows nothing of."""

    @staticmethod
    def forward(context: Any, run: Callable[[P], torch.Tensor], parts: Sequence[P], *learned: torch.Tensor) -> Any:
        with torch.enable_grad():
            context.found, context.learned = together(run, parts), learned
        return torch.cat([found.detach() for found in context.found])

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> Any:
        found, learned = context.found, context.learned
        del context.found  # and with it the graphs

        def gradient(part: tuple[torch.Tensor, torch.Tensor]) -> Sequence[torch.Tensor | None]:
            return torch.autograd.grad(part[0], learned, part[1], allow_unused=True)

        pairs = zip(found, torch.split(gradients[0], [len(part) for part in found]), strict=True)
        return None, None, *_sums(together(gradient, list(pairs)))


def _sums(gradients: Sequence[Sequence[torch.Tensor | None]]) -> Iterator[torch.Tensor | None]:
    for parts in zip(*gradients, strict=True):
        there = [part for part in parts if part is not None]
        yield sum(there[1:], start=there[0]) if there else None

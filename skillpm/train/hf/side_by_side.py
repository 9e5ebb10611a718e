"""Parts of one pass side by side on a CPU, each in a thread of Python that computes with its share of the cores.

Torch divides every operation among its threads, and they wait for each other thousands of times a pass. A thread that
sleeps meanwhile takes longer to wake than a small operation takes, and one that spins takes the time of whatever else
runs on its core. Parts of a pass wait for each other once. docs/decisions/cores.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from itertools import accumulate
from threading import Lock, Thread
from typing import Any, TypeVar

import torch

from skillpm.train.hf.together import count

P = TypeVar("P")
T = TypeVar("T")

_SMALL = 0.1  # of all weights: each part has a gradient of those that are learned


def most_parts(model: Any) -> int:
    """Return in how many parts a pass of a model may run: as many as torch has threads, or 1."""
    return torch.get_num_threads() if model.device.type == "cpu" else 1


def most_learning_parts(model: Any) -> int:
    """Return the same of a pass from which the model learns.

    Dropout would draw for the parts in the order in which they come to it, which is another each time.
    """
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    learned = sum(size for size, learns in sizes if learns)
    alone = count() > 1 or _drops(model) or learned > _SMALL * sum(size for size, _ in sizes)
    return 1 if alone else most_parts(model)


def _drops(model: Any) -> bool:
    layers = (module.p for module in model.modules() if isinstance(module, torch.nn.Dropout))
    return any(layers) or bool(getattr(model.config, "attention_dropout", 0))


def evenly(items: Sequence[P], sizes: Sequence[int], parts: int) -> list[list[P]]:
    """Divide items, in their order, into at most so many parts whose sizes add up to about the same."""
    whole, found = sum(sizes), [list[P]() for _ in range(parts)]
    for item, size, end in zip(items, sizes, accumulate(sizes), strict=True):
        found[min(parts - 1, int((end - size / 2) * parts / whole))].append(item)
    return [part for part in found if part]


def together(run: Callable[[P], T], parts: Sequence[P]) -> list[T]:
    """Return what ``run`` gives for each part; modes of torch and context variables are those of the caller."""
    learns, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def run_part(part: P) -> T:
        with torch.inference_mode(inference), torch.set_grad_enabled(learns):
            return run(part)

    threads = _threads(len(parts), max(1, torch.get_num_threads() // len(parts)))
    return [done.result() for done in [threads.submit(copy_context().run, run_part, part) for part in parts]]


@cache
def _threads(parts: int, cores: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(parts, initializer=_compute_with, initargs=(cores,))


def _compute_with(cores: int) -> None:
    """Give this thread so many cores.

    Torch has a number for each thread and one for the threads to come, and sets both at once. So another thread puts
    the second one back: the threads of a server are such.
    """
    with _beginning:
        others = torch.get_num_threads()
        torch.set_num_threads(cores)
        back = Thread(target=torch.set_num_threads, args=(others,))
        back.start()
        back.join()


_beginning = Lock()


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

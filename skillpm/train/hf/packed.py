"""Linear layers of a model that answers, in the layout from which a processor multiplies fastest.

Decoding multiplies few rows by large weights. From oneDNN's blocked layout that takes from half to three quarters of
the time: on two cores with AVX2, SmolLM2-135M writes 1, 4 and 16 answers side by side 1.3, 1.5 and 1.3 times as fast.
In bfloat16 a core with AVX-512 takes 0.56, 0.61 and 0.79 of the time for its products.
The weights are those that they were, and sums differ in the last digits, as they do from one batch size to the next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from skillpm.train.hf.capability import first_that, same_distributions
from skillpm.train.hf.memory import MOST_COPIED

_ROWS = 16  # that the layout is made for; for any number from 4 on it is as good as one made for that number
_TRIED = 8  # tokens: as much as a step of decoding


class PackedLinear(torch.nn.Module):
    """What ``torch.nn.Linear`` computes, without gradients."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """While it lasts, multiply in float32, as a trial does that is to show more than rounding."""
        packed = self._packed
        self._packed = torch.ops.mkldnn._reorder_linear_weight(packed.to_dense().float(), _ROWS)
        try:
            yield
        finally:
            self._packed = packed

    @property
    def weight(self) -> torch.Tensor:
        """The plain matrix, for models that look at it."""
        return self._packed.to_dense()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the products of rows, shape (..., in_features), with the weight, and the bias added."""
        products: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
        return products


def pack(model: Any) -> None:
    """Pack the linear layers of a model in place, if it is on a CPU and the packed ones give the same."""
    layers = _packable(model, torch.float32, torch.bfloat16)
    if not layers or not _gives_the_same(_merged(layers[0][-1])):
        return
    while layers:  # each layer is let go of before the next is packed
        parent, name, layer = layers.pop()
        setattr(parent, name, PackedLinear(_merged(layer)))


@contextmanager
def packed(model: Any, tokens: Sequence[int]) -> Iterator[None]:
    """While it lasts, a model that is trained answers from packed layers with its adapter merged into them.

    A model in bfloat16 answers from its own layers: merging would round what has been learned.
    Its own layers, and what they have learned, are not touched: they stand aside, and are put back. So they are at
    once where the packed ones do not say the same of the tokens: some models use the weight of a layer, and pass its
    adapter by.

    Args:
        model: in evaluation mode.
        tokens: of a prompt; the first few are tried each time, for an adapter that is still zero shows nothing.
    """
    layers = _packable(model, torch.float32) if model.num_parameters() <= MOST_COPIED else []
    trial = torch.tensor([tokens[:_TRIED]], device=model.device)

    def say_the_same(packing: Callable[[Any], None]) -> bool:
        expected = _said(model, trial)
        packing(model)
        return same_distributions(_said(model, trial), expected, exact=True)

    try:
        if layers and not first_that([pack], say_the_same):
            _put_back(layers)
        yield
    finally:
        _put_back(layers)


@torch.inference_mode()
def _said(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return model(input_ids=ids, use_cache=False).logits.float().log_softmax(dim=-1)


_Place = tuple[torch.nn.Module, str, torch.nn.Module]  # a module, the name of its attribute, the layer that is it


def _put_back(layers: Sequence[_Place]) -> None:
    for parent, name, layer in layers:
        setattr(parent, name, layer)


def _packable(model: Any, *dtypes: torch.dtype) -> list[_Place]:
    return list(_linear_layers(model)) if model.device.type == "cpu" and model.dtype in dtypes else []


def _linear_layers(module: torch.nn.Module) -> Iterator[_Place]:
    """Yield each linear layer, with its adapter if it has one, below the module that it is an attribute of."""
    for name, layer in module.named_children():
        if isinstance(layer, BaseTunerLayer):
            if type(layer.get_base_layer()) is torch.nn.Linear:
                yield module, name, layer
        elif type(layer) is torch.nn.Linear:
            yield module, name, layer
        else:
            yield from _linear_layers(layer)


def _merged(layer: Any) -> torch.nn.Linear:
    """Return a layer as one matrix: with its adapter, unless that is disabled."""
    if not isinstance(layer, BaseTunerLayer):
        return layer
    if not layer.disable_adapters and not layer.merged:
        layer = copy.deepcopy(layer)  # merging changes the weights, and cannot be undone to the last digit
        layer.merge()
    return layer.get_base_layer()


def _gives_the_same(linear: torch.nn.Linear) -> bool:
    """Is the library there, and right? Its operators are not part of torch's public interface."""
    rows = torch.eye(2, linear.in_features, dtype=linear.weight.dtype)
    try:
        with torch.inference_mode():
            return torch.allclose(PackedLinear(linear)(rows), linear(rows), rtol=1e-2, atol=1e-5)
    except (AttributeError, RuntimeError):
        return False

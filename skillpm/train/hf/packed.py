"""Linear layers of a model that only answers, in the layout from which a processor multiplies fastest.

Decoding multiplies few rows by large weights. From oneDNN's blocked layout that takes from half to three quarters of
the time: on two cores with AVX2, SmolLM2-135M writes 1, 4 and 16 answers side by side 1.3, 1.5 and 1.3 times as fast.
The weights are those that they were, and sums differ in the last digits, as they do from one batch size to the next.
"""

from __future__ import annotations

from typing import Any

import torch

_ROWS = 16  # that the layout is made for; for any number from 4 on it is as good as one made for that number


class PackedLinear(torch.nn.Module):
    """What ``torch.nn.Linear`` computes, without gradients."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    @property
    def weight(self) -> torch.Tensor:
        """The plain matrix, for models that look at it."""
        return self._packed.to_dense()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the products of rows, shape (..., in_features), with the weight, and the bias added."""
        products: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
        return products


def pack(model: Any) -> None:
    """Pack the linear layers of a model in place, if it is on a CPU in float32 and the packed ones give the same."""
    layers = [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if type(layer) is torch.nn.Linear
    ]
    if model.device.type == "cpu" and model.dtype == torch.float32 and layers and _gives_the_same(layers[0][-1]):
        for parent, name, layer in layers:
            setattr(parent, name, PackedLinear(layer))


def _gives_the_same(linear: torch.nn.Linear) -> bool:
    """Is the library there, and right? Its operators are not part of torch's public interface."""
    rows = torch.eye(2, linear.in_features)
    try:
        with torch.inference_mode():
            return torch.allclose(PackedLinear(linear)(rows), linear(rows), rtol=1e-3, atol=1e-5)
    except (AttributeError, RuntimeError):
        return False

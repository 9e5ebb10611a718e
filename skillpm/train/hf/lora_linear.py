"""LoRA of a linear layer with fewer passes over memory than PEFT's, in the data type of the layer.

PEFT computes the update apart from the layer, scales it and adds it, each time into a new tensor. Adapters are float32,
so of a model in bfloat16 it also copies inputs and outputs to float32 and multiplies there, which takes as long as the
layer itself. Here the second product of the update adds to the layer's output. In bfloat16 the update is rounded as the
layer is; its weights and their gradients stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch.autograd.function import once_differentiable
from torch.nn import functional


class LoraLinear(Linear):
    """What ``peft.tuners.lora.Linear`` computes, by ``_Updated`` where nothing but one plain update is added."""

    def forward(self, inputs: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        """Return the layer's output with its update, shape (..., out features)."""
        if arguments or named or not self._is_plain(inputs):
            output: torch.Tensor = super().forward(inputs, *arguments, **named)
            return output
        (name,), layer = self.active_adapters, self.base_layer
        down, up = self.lora_A[name].weight, self.lora_B[name].weight
        rows = inputs.reshape(-1, inputs.shape[-1])
        # Some models write into what a layer gives: into a view that a function itself returned, torch would refuse to.
        updated: torch.Tensor = _Updated.apply(rows, layer.weight, layer.bias, down, up, self.scaling[name])  # type: ignore[no-untyped-call]
        return updated.view(*inputs.shape[:-1], len(layer.weight))

    def _is_plain(self, inputs: torch.Tensor) -> bool:
        layer, active = self.base_layer, self.active_adapters
        if self.disable_adapters or self.merged or len(active) != 1 or active[0] not in self.lora_A:
            return False
        drops = self.training and not isinstance(self.lora_dropout[active[0]], torch.nn.Identity)
        variant = drops or active[0] in self.lora_variant or self.lora_bias[active[0]] or self.fan_in_fan_out
        hooks = layer._forward_pre_hooks, layer._forward_hooks, layer._backward_pre_hooks, layer._backward_hooks
        watched = any(hooks) or any(weight.requires_grad for weight in layer.parameters())
        converted = inputs.dtype != layer.weight.dtype or torch.is_autocast_enabled(inputs.device.type)
        return not (variant or watched or converted)


def quicken(model: torch.nn.Module) -> None:
    """Let the plain LoRA layers of a model be ``LoraLinear``."""
    for layer in model.modules():
        if type(layer) is Linear and type(layer.base_layer) is torch.nn.Linear:
            layer.__class__ = LoraLinear


class _Updated(torch.autograd.Function):
    """``x W' + b + s (x A') B'`` of rows x, differentiable in x, A and B (Hu et al. 2021, arXiv:2106.09685, eq. 3)."""

    @staticmethod
    def forward(
        context: Any,
        rows: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        low, raised = rows @ down.T.to(rows.dtype), up.to(rows.dtype)
        output = functional.linear(rows, weight, bias).addmm_(low, raised.T, alpha=scale)
        context.save_for_backward(rows, low, weight, down, up)
        context.scale = scale
        return output

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, low, weight, down, up = context.saved_tensors
        low_gradient = (gradient @ up.to(rows.dtype)).mul_(context.scale)
        to_rows = None
        if context.needs_input_grad[0]:
            to_rows = (gradient @ weight).addmm_(low_gradient, down.to(rows.dtype))
        to_down = (low_gradient.T @ rows).to(down.dtype)
        to_up = (gradient.T @ low).to(up.dtype).mul_(context.scale)
        return to_rows, None, None, to_down, to_up, None

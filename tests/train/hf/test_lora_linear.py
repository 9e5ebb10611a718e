"""A LoRA layer gives what PEFT's gives: its output, and the gradients of its input and of its update."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from skillpm.train.hf.lora_linear import LoraLinear, _Updated, quicken

SEEDS = st.integers(0, 2**16)


class Net(torch.nn.Module):
    def __init__(self, inner: int, outer: int, bias: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(inner, outer, bias=bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(inputs)
        return found


def adapted(inner: int = 6, outer: int = 5, *, bias: bool = True, **lora: Any) -> Any:
    model = get_peft_model(Net(inner, outer, bias), LoraConfig(**{"r": 2, "target_modules": ["layer"], **lora}))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return model


def figures(model: Any, inputs: torch.Tensor) -> list[torch.Tensor]:
    """Return output and gradients."""
    asked = inputs.clone().requires_grad_()
    model.zero_grad()
    output = model(asked)
    (output.float() * torch.arange(output.numel()).view_as(output).cos()).sum().backward()
    learned = [weight.grad for weight in model.parameters() if weight.requires_grad]
    return [output.detach(), asked.grad, *learned]


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    st.lists(st.integers(0, 4), max_size=3),
    st.booleans(),
    st.integers(1, 8),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_it_gives_what_peft_gives(seed: int, rows: list[int], bias: bool, rank: int, dtype: torch.dtype) -> None:
    torch.manual_seed(seed)
    model = adapted(bias=bias, r=rank, lora_alpha=3)
    model.base_model.model.layer.base_layer.to(dtype)
    inputs = torch.randn(*rows, 6, dtype=dtype)
    expected = figures(model, inputs)

    quicken(model)

    assert type(model.base_model.model.layer) is LoraLinear
    bound = 1e-5 if dtype == torch.float32 else 0.05
    for found, wanted in zip(figures(model, inputs), expected, strict=True):
        assert found.shape == wanted.shape and found.dtype == wanted.dtype
        assert float((found - wanted).float().norm()) <= bound * max(1.0, float(wanted.float().norm()))


def second(model: Any) -> None:
    model.add_adapter("second", LoraConfig(r=2, target_modules=["layer"]))
    model.base_model.set_adapter(["default", "second"])


OTHERS: dict[str, tuple[dict[str, Any], Any]] = {
    "dropout": ({"lora_dropout": 0.5}, lambda model: model.train()),
    "DoRA": ({"use_dora": True}, lambda model: None),
    "a bias that is trained": ({}, lambda model: model.base_model.model.layer.base_layer.bias.requires_grad_()),
    "a bias of the update": ({"lora_bias": True}, lambda model: None),
    "two updates": ({}, second),
    "none": ({}, lambda model: model.base_model.disable_adapter_layers()),
    "merged": ({}, lambda model: model.merge_adapter()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_more_than_one_plain_update_is_left_to_peft(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lora, change = OTHERS[name]
    model = adapted(**lora)
    change(model)
    inputs = torch.randn(3, 6)
    torch.manual_seed(0)
    expected = model(inputs)
    quicken(model)
    monkeypatch.setattr(_Updated, "apply", None)

    torch.manual_seed(0)
    assert torch.equal(model(inputs), expected)


def test_dropout_is_of_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(lora_dropout=0.5).eval()
    quicken(model)
    monkeypatch.setattr(_Updated, "apply", lambda *given: torch.full((2, 5), given[-1]))

    assert (model(torch.randn(2, 6)) == model.base_model.model.layer.scaling["default"]).all()


def test_a_model_may_write_into_what_a_layer_gives() -> None:
    """As some do that clamp queries and keys."""
    model = adapted()
    model.base_model.model.register_forward_hook(lambda _, __, output: output.clamp_(-0.5, 0.5))
    inputs = torch.randn(2, 3, 6)
    expected = figures(model, inputs)
    quicken(model)

    for found, wanted in zip(figures(model, inputs), expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "full_backward_pre", "full_backward"])
def test_hooks_of_the_layer_still_run(kind: str) -> None:
    model, seen = adapted(), []
    quicken(model)
    register = getattr(model.base_model.model.layer.base_layer, f"register_{kind}_hook")
    register(lambda *given: seen.append(given))

    model(torch.randn(2, 6, requires_grad=True)).sum().backward()

    assert len(seen) == 1

"""Packed layers give what plain ones give, and keep their weights."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import pytest
import torch
from peft import LoraConfig, get_peft_model

from skillpm.train.hf.packed import PackedLinear, pack, packed
from tests.random_models import random_architecture
from tests.train.hf.test_capability import NAMES

pytestmark = [
    pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch is built without oneDNN"),
    pytest.mark.filterwarnings("default"),
]

TOKENS = list(range(3, 40))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 48), (2, 1, 48), (3, 17, 48)])
def test_a_packed_layer_gives_what_the_plain_one_gives(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Linear(48, 96, bias=bias)
    packed = PackedLinear(plain)
    rows = torch.randn(shape)
    with torch.inference_mode():
        assert torch.allclose(packed(rows), plain(rows), atol=1e-5)
    assert torch.equal(packed.weight, plain.weight)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_the_distributions_that_it_had(name: str) -> None:
    model, ids = random_architecture(name).eval(), torch.arange(3, 40)[None]
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        pack(model)
        after = model(input_ids=ids).logits
    assert any(type(layer) is PackedLinear for layer in model.modules())
    assert torch.allclose(before, after, atol=1e-4)


def test_bfloat16_is_packed_where_the_processor_multiplies_it() -> None:
    model, ids = random_architecture("llama").eval().to(torch.bfloat16), torch.arange(3, 40)[None]
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        pack(model)
        after = model(input_ids=ids).logits
    assert (type(model.lm_head) is PackedLinear) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert torch.allclose(before, after, atol=0.02, rtol=0.02)


def test_a_layer_is_let_go_of_before_the_next_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a model is in memory once, however large it is."""
    model = random_architecture("llama")
    plain = WeakSet(layer for layer in model.modules() if type(layer) is torch.nn.Linear)
    reorder, left = PackedLinear.__init__, []

    def noted(packing: PackedLinear, layer: torch.nn.Linear) -> None:
        left.append(len(plain))
        reorder(packing, layer)

    monkeypatch.setattr(PackedLinear, "__init__", noted)
    pack(model)

    assert left[-1] <= 2 < left[0]


def test_other_precisions_stay_as_they_are() -> None:
    model = random_architecture("llama").to(torch.float64)
    pack(model)
    assert type(model.lm_head) is torch.nn.Linear


def test_a_model_in_bfloat16_is_trained_and_answers_from_its_own_layers() -> None:
    model = random_architecture("llama").eval().to(torch.bfloat16)
    with packed(model, TOKENS):
        assert type(model.lm_head) is torch.nn.Linear


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_model_answers_with_its_adapter_merged_and_gets_its_layers_back(name: str) -> None:
    # Mamba layers take the weight of dt_proj, and pass its adapter by: their own layers stay.
    assert _is_packed(name) == (name not in ("mamba", "jamba"))


@pytest.mark.parametrize("variant", ["use_dora", "use_rslora"])
def test_so_does_a_model_with_another_kind_of_adapter(variant: str) -> None:
    assert _is_packed("llama", **{variant: True})


def _is_packed(name: str, **settings: Any) -> bool:
    """Compare what a model with an adapter says with what it says while it is packed, and say whether it was."""
    torch.manual_seed(0)
    model, ids = random_architecture(name), torch.arange(3, 40)[None]
    lora = LoraConfig(init_lora_weights=False, target_modules=_adaptable(model), **settings)
    model = get_peft_model(model, lora).eval()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        with packed(model, TOKENS):
            was_packed = any(type(layer) is PackedLinear for layer in model.modules())
            assert torch.allclose(model(input_ids=ids).logits, before, atol=1e-3)
        with model.disable_adapter():
            bare = model(input_ids=ids).logits
            with packed(model, TOKENS):
                assert torch.allclose(model(input_ids=ids).logits, bare, atol=1e-3)
        assert torch.equal(model(input_ids=ids).logits, before)
    assert model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    return was_packed


def _adaptable(model: Any) -> list[str] | str:
    """Return the names of the layers that PEFT puts an adapter onto, of any architecture."""
    linear = [name for name, module in model.named_modules() if type(module) is torch.nn.Linear]
    return [name for name in linear if not name.endswith(("out_proj", "router", "lm_head"))] or "all-linear"


def test_layers_are_put_back_after_an_error() -> None:
    model = random_architecture("llama")
    with pytest.raises(KeyboardInterrupt), packed(model, TOKENS):
        raise KeyboardInterrupt
    assert type(model.lm_head) is torch.nn.Linear

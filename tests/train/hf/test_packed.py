"""Packed layers give what plain ones give, and keep their weights."""

from __future__ import annotations

import pytest
import torch

from skillpm.train.hf.packed import PackedLinear, pack
from tests.random_models import random_architecture
from tests.train.hf.test_capability import NAMES

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch is built without oneDNN"
)


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


def test_other_precisions_stay_as_they_are() -> None:
    model = random_architecture("llama").to(torch.bfloat16)
    pack(model)
    assert type(model.lm_head) is torch.nn.Linear

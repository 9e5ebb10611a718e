"""The reference says what the model said when a stage began, whatever is trained since."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from skillpm.train.hf.reference import Reference, forget_reference
from tests.random_models import random_architecture

pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"target_modules": "all-linear"},
        {"target_modules": "all-linear", "use_dora": True},
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [5, 6, 7]},
    ],
    ids=["all weights", "lora", "dora", "embeddings", "whole modules", "tokens"],
)
def test_a_reference_is_the_model_as_it_was(settings: dict[str, Any] | None) -> None:
    model = random_architecture("llama")
    if settings is not None:
        model = get_peft_model(model, LoraConfig(r=2, task_type="CAUSAL_LM", **settings)).eval()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    ids = torch.arange(3, 20)[None]

    @torch.no_grad()
    def train() -> None:
        for weight in trained:
            weight.add_(0.1 * torch.randn_like(weight))

    train()
    before = model(ids).logits
    reference = Reference(model)
    train()
    with reference.asked() as asked:
        torch.testing.assert_close(asked(ids).logits, before)
    after = model(ids).logits
    assert not torch.allclose(after, before, atol=0.01)
    forget_reference(model)
    torch.testing.assert_close(model(ids).logits, after)
    assert list(map(id, trained)) == [id(weight) for weight in model.parameters() if weight.requires_grad]

"""Updates through the tree of their rows, without groups that are paid alike, are those of TRL on padded rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from skillpm.train.hf.model import load_conversation, load_model
from skillpm.train.hf.row_scores import GroupTrainer, LeaveOneOutTrainer, row_scores, rows_in_order
from tests.random_models import random_architecture

SYSTEM, REQUESTS = [30, 31, 32, 33, 34], ([40, 41, 42], [40, 50], [60, 61, 62, 63])
PAD = 2


def inputs() -> dict[str, Any]:
    """Three groups of four: one paid apart, one alike, one with a masked answer, in TRL's shape."""
    chance = torch.Generator().manual_seed(0)
    prompts = [SYSTEM + request for request in REQUESTS for _ in range(4)]
    width = max(map(len, prompts))
    answers = torch.randint(70, 250, (12, 6), generator=chance)
    lengths = torch.tensor([6, 4, 5, 2, 3, 3, 6, 6, 1, 6, 2, 5])
    mask = (torch.arange(6)[None] < lengths[:, None]).long()
    mask[9] = 0  # cut off, so masked
    paid = torch.tensor([1.0, -1.0, 0.5, -0.5, 0.0, 1e-9, 0.0, 0.0, 0.7, 0.9, -0.8, -0.8])
    return {
        "prompt_ids": torch.tensor([[PAD] * (width - len(row)) + row for row in prompts]),
        "prompt_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts]),
        "completion_ids": answers,
        "completion_mask": mask,
        "advantages": paid,
        "num_items_in_batch": mask.sum(),
        "old_per_token_logps": torch.full((12, 6), -5.5) * mask,
        "old_logps": torch.full((12,), -5.5) * mask.sum(dim=1),
    }


def gradient(kind: Any, arguments: Any, source: Path) -> tuple[torch.Tensor, int]:
    """Return the gradient of one pass, and how many tokens went through the model."""
    model = load_model(source, "float32")
    tokenizer = load_conversation(source).tokenizer
    trainer = kind(
        model=model,
        args=arguments,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "x"}]}] * 4),
        processing_class=tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    model.train()
    trainer._compute_loss(model, inputs())  # the ways are tried
    seen: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, given, __: seen.append(given[0].numel()))
    trainer._compute_loss(model, inputs()).backward()
    hook.remove()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]), sum(seen)


COMMON: dict[str, Any] = {
    "per_device_train_batch_size": 12,
    "num_generations": 4,
    "max_completion_length": 6,
    "report_to": "none",
    "bf16": False,
    "activation_checkpointing": False,
    "temperature": 0.9,
}
LOSSES: dict[str, dict[str, Any]] = {
    "dr_grpo": {"loss_type": "dr_grpo"},
    "grpo": {"loss_type": "grpo"},
    "dapo": {"loss_type": "dapo"},
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"},
}


@pytest.mark.parametrize("loss", [*LOSSES, "rloo"])
def test_the_gradient_is_trl_s(tiny_model: Path, tmp_path: Path, loss: str) -> None:
    """The tree has fewer tokens than half of TRL's rows, and no group of equals in it."""
    if loss == "rloo":
        ours, theirs = LeaveOneOutTrainer, RLOOTrainer
        arguments: Any = RLOOConfig(str(tmp_path), beta=0.0, **COMMON)
    else:
        ours, theirs = GroupTrainer, GRPOTrainer
        arguments = GRPOConfig(str(tmp_path), beta=0.0, **LOSSES[loss], **COMMON)

    with rows_in_order():
        found, tokens = gradient(ours, arguments, tiny_model)
        expected, padded = gradient(theirs, arguments, tiny_model)

    assert float(expected.norm()) > 0
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    assert tokens < padded / 2


def test_the_head_is_run_on_labelled_positions_only(tiny_model: Path) -> None:
    """TRL's loss with the compact head is the loss without it."""
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    add_fused_lm_head(model, outputs=("entropy",))
    ids = torch.randint(10, 250, (2, 20), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, :12] = -100
    plain = model(input_ids=ids, labels=labels, fused_lm_head=True)
    with rows_in_order():
        compact = model(input_ids=ids, labels=labels, fused_lm_head=True)

    torch.testing.assert_close(plain.log_probs, compact.log_probs)
    torch.testing.assert_close(plain.loss, compact.loss)


@torch.inference_mode()
def test_rows_scored_alone_have_the_scores_of_the_model() -> None:
    """Padding on both sides is left out, and the temperature divides the logits."""
    model = random_architecture("gpt2")
    ids = torch.tensor([[2, 2, 11, 12, 13, 2], [21, 22, 23, 24, 25, 26]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]])

    scores, entropies = row_scores(model, ids, mask, 2, temperature=0.5)

    logs = (model(torch.tensor([[11, 12, 13]])).logits[0] / 0.5).log_softmax(dim=-1)
    assert scores[0].tolist() == pytest.approx([float(logs[1, 13]), 0.0], rel=1e-4)
    assert float(entropies[0, 0]) == pytest.approx(float(-(logs[1].exp() * logs[1]).sum()), rel=1e-4)
    assert entropies[0, 1] == 0.0

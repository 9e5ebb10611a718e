"""An adapter put into the weights of its base model for good, and checked by what the saved model answers."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftModel

from skillpm.errors import TrainingError, UsageError
from skillpm.model.task import Message
from skillpm.train.hf.capability import same_distributions
from skillpm.train.hf.model import load_conversation, load_model

_ASKED = (Message(role="system", content="Answer in JSON."), Message(role="user", content="Start the server."))


def merge_adapter(model: Path | str, adapter: Path, folder: Path, dtype: str) -> None:
    """Write a base model with its adapter merged into the weights, with tokenizer and chat template.

    The saved model is loaded again; its log-probabilities must be those of the adapter beside the base model.

    Args:
        model: a folder or a hub id.
        adapter: a folder.
        folder: an empty one.
        dtype: of the saved weights: float32, bfloat16, or auto.

    Raises:
        UsageError: the adapter does not fit the model.
        TrainingError: the merged model answers otherwise.
    """
    conversation = load_conversation(model)
    try:
        tuned = PeftModel.from_pretrained(load_model(model, "float32"), str(adapter)).eval()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:300]
        raise UsageError(f"the adapter {adapter} does not fit {model}: {reason}", hint="use its own model") from None
    ids = torch.tensor([conversation.prompt(_ASKED)], device=tuned.device)
    expected = _answers(tuned, ids)
    merged = tuned.merge_and_unload(safe_merge=True)
    if dtype == "bfloat16":
        merged = merged.to(torch.bfloat16)
    merged.save_pretrained(folder)
    conversation.tokenizer.save_pretrained(folder)
    if not same_distributions(_answers(load_model(folder, dtype), ids), expected, exact=dtype == "float32"):
        raise TrainingError("the merged model answers otherwise than the adapter", hint="use `--dtype float32`")


@torch.inference_mode()
def _answers(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities after each token, shape (length, vocabulary)."""
    return model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(dim=-1)

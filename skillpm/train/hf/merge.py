"""What was trained, written as one model for other programs, and checked by what the saved model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from skillpm.errors import TrainingError
from skillpm.model.task import Message
from skillpm.train.hf.capability import FAILURES, same_distributions
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.gguf_file import head_dim, write_gguf
from skillpm.train.hf.model import is_whole_model, load_conversation, load_model, reason_of, with_adapter
from skillpm.train.template_arguments import template_arguments

_ASKED = (Message(role="system", content="Answer in JSON."), Message(role="user", content="Start the server."))
_WORDS = 'Serve /srv/a b on 8123,  dès 07:30\n\tor don\'t: {"x": [1, 22, 333]} <|im_end|>'  # cut by every rule


def merge_adapter(model: Path | str, adapter: Path, folder: Path, dtype: str) -> None:
    """Write a base model with its adapter merged into the weights, with tokenizer and chat template.

    The saved model is loaded again; its log-probabilities must be those of the adapter beside the base model.

    Args:
        model: a folder or a hub id.
        adapter: a folder; it may have a model that was trained whole, whose tokenizer is that of ``model``.
        folder: an empty one.
        dtype: of the saved weights: float32, bfloat16, or auto.

    Raises:
        UsageError: the adapter does not fit the model.
        TrainingError: the merged model answers otherwise.
    """
    conversation = _conversation(model, adapter)
    merged, expected = _merged(conversation, model, adapter)
    if dtype == "bfloat16":
        merged = merged.to(torch.bfloat16)
    merged.save_pretrained(folder)
    conversation.tokenizer.save_pretrained(folder)
    if not _same(load_model(folder, dtype), conversation, expected, exact=dtype == "float32"):
        raise TrainingError("the merged model answers differently from the adapter", hint="use `--dtype float32`")


def export_gguf(model: Path | str, adapter: Path | None, file: Path, name: str, file_type: str) -> None:
    """Write a model, with its adapter merged in, as one GGUF file, and read it again.

    Args:
        model: a folder or a hub id.
        adapter: a folder, as in ``merge_adapter``, or None.
        file: the new file.
        name: of the model, as the file says it.
        file_type: f32, f16, bf16 or q8_0.

    Raises:
        UsageError: the adapter does not fit the model, or GGUF has no place for something of the model.
        TrainingError: the file says other tokens or other probabilities.
    """
    conversation = _conversation(model, adapter)
    merged, expected = _merged(conversation, model, adapter)
    write_gguf(merged, conversation, file, name, file_type)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer, configuration = AutoTokenizer.from_pretrained(**where), AutoConfig.from_pretrained(**where)
        configuration.head_dim = head_dim(merged.config)  # transformers does not look it up for every family
        again = AutoModelForCausalLM.from_pretrained(**where, config=configuration, dtype=torch.float32)
    except (OSError, *FAILURES) as error:
        raise TrainingError(f"the GGUF file cannot be read again: {reason_of(error)}", hint=_ANOTHER) from None
    if tokenizer(_WORDS)["input_ids"] != conversation.tokenizer(_WORDS, add_special_tokens=False)["input_ids"]:
        raise TrainingError("the tokenizer of the GGUF file writes other tokens", hint=_ANOTHER)
    if not _same(again.to(expected.device), conversation, expected, exact=file_type == "f32"):
        raise TrainingError("the GGUF file answers differently from the model", hint="use `--type f16`")


_ANOTHER = "`skillpm model merge` writes safetensors, which llama.cpp's own converter may read"


def _conversation(model: Path | str, adapter: Path | None) -> Conversation:
    """Return a conversation whose chat template asks others' programs, too, as it asked what was trained."""
    conversation = load_conversation(model, template_arguments(adapter))
    if adapter is not None:
        conversation.tokenizer.chat_template = conversation.template()
    return conversation


def _merged(conversation: Conversation, model: Path | str, adapter: Path | None) -> tuple[Any, torch.Tensor]:
    """Return what was trained as one model, in float32, and what it said before that. Raises UsageError."""
    if adapter is None or is_whole_model(adapter):
        loaded = load_model(adapter or model, "float32").eval()
        return loaded, _answers(loaded, conversation)
    tuned = with_adapter(load_model(model, "float32"), adapter, str(model)).eval()
    expected = _answers(tuned, conversation)
    return tuned.merge_and_unload(safe_merge=True), expected


def _same(model: Any, conversation: Conversation, expected: torch.Tensor, *, exact: bool) -> bool:
    return same_distributions(_answers(model, conversation), expected, exact=exact)


@torch.inference_mode()
def _answers(model: Any, conversation: Conversation) -> torch.Tensor:
    """Return the log-probabilities after each token of a prompt, shape (length, vocabulary)."""
    ids = torch.tensor([conversation.prompt(_ASKED)], device=model.device)
    return model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(dim=-1)

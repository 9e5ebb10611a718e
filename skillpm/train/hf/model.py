"""Loading models and tokenizers, and the one-time de-quantisation of a GGUF file."""

from __future__ import annotations

import gc
import time
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from skillpm.errors import UsageError

_PROBE = 384  # rows of the square matrices with which data types are compared


def quiet() -> None:
    """Keep the libraries' progress bars and advice off the terminal; errors still come through."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module=r"(transformers|trl|peft|torch|accelerate)\b.*")


def dequantise(gguf: Path, target: Path) -> None:
    """Turn a GGUF file of a Llama model into float32 safetensors with its tokenizer and chat template.

    A model loaded from GGUF still believes that it is quantised and refuses to be saved, so its weights are put into a
    fresh model whose configuration has no ``quantization_config``.
    """
    quiet()
    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    configuration = loaded.config.to_dict()
    configuration.pop("quantization_config", None)
    configuration.pop("_name_or_path", None)
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig.from_dict(configuration))
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.eos_token_id
    model.save_pretrained(target)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(target)
    del loaded, model
    gc.collect()


def load_tokenizer(source: Path | str) -> Any:
    """Load a tokenizer that can render a conversation.

    Raises:
        UsageError: it cannot be loaded, or has no chat template.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise _unloadable(source, error) from None
    if tokenizer.chat_template is None:
        raise UsageError(f"the tokenizer of {source} has no chat template", hint="use an instruction-tuned model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(source: Path | str, dtype: str = "auto") -> Any:
    """Load a causal language model onto the accelerator, or onto the CPU where there is none.

    Raises:
        UsageError: it cannot be loaded.
    """
    quiet()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(str(source), dtype=choose_dtype(dtype, device))
    except (OSError, ValueError) as error:
        raise _unloadable(source, error) from None
    return model.to(device)


def _unloadable(source: Path | str, error: Exception) -> UsageError:
    reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    return UsageError(
        f"the model {source} cannot be loaded: {reason}",
        hint="give the folder of a transformers model, a hub id that this machine can reach, or `smollm2-135m`",
    )


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the data type of the base model; adapters are float32 in any case.

    ``auto`` is bfloat16 on an accelerator. A CPU gets it only where its bfloat16 matrix product is measurably faster
    than float32's: without such units it is up to two hundred times slower.
    """
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device != "cpu":
        return torch.bfloat16
    return torch.bfloat16 if _product_seconds(torch.bfloat16) < 0.8 * _product_seconds(torch.float32) else torch.float32


def _product_seconds(dtype: torch.dtype) -> float:
    matrix = torch.ones(_PROBE, _PROBE, dtype=dtype)
    matrix @ matrix
    begin = time.perf_counter()
    matrix @ matrix
    return time.perf_counter() - begin


def stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer."""
    declared = model.generation_config.eos_token_id
    ids = declared if isinstance(declared, list) else [declared]
    return frozenset(token for token in [*ids, tokenizer.eos_token_id] if token is not None)

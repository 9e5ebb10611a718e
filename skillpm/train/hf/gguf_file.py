"""A model written as one GGUF file, which llama.cpp, Ollama and LM Studio run, and checked by reading it again.

GGUF stores the tensors of these families as they are, but for the rotated halves of Llama's queries and keys, which
llama.cpp interleaves. What the format cannot say of a model is a reason to refuse it: a wrong file answers, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf.quants import quantize

from skillpm.errors import UsageError
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.model import check_vocabulary

_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
_INTERLEAVED = gguf.MODEL_ARCH.LLAMA
_FILE_TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_BLOCK = 32  # values that q8_0 stores with one scale; a shorter row stays f16
_WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
_REST = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
_SPLITS = {f"{_WORDS}\\p{{N}}{_REST}": "qwen2", f"{_WORDS}\\p{{N}}{{1,3}}{_REST}": "llama-bpe"}
"""Regular expressions that cut a text into words, and what GGUF calls them."""


def write_gguf(model: Any, conversation: Conversation, path: Path, name: str, file_type: str) -> None:
    """Write a model and its tokenizer.

    Args:
        model: a causal language model in float32.
        conversation: of its tokenizer.
        path: of the file.
        name: of the model, as the file says it.
        file_type: f32, f16, bf16 or q8_0; norms are f32 in any case.

    Raises:
        UsageError: GGUF has no place for something of this model.
    """
    configuration, tokenizer = model.config, conversation.tokenizer
    architecture = _architecture(configuration)
    words = _tokenizer(tokenizer)
    check_vocabulary(model, [tokenizer.get_vocab().values()])
    kind, label = _FILE_TYPES[file_type]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_name(name)
    writer.add_file_type(label)
    _add_sizes(writer, configuration)
    _add_tokenizer(writer, tokenizer, words, configuration.vocab_size)
    if conversation.end[-1] != tokenizer.eos_token_id:
        writer.add_eot_token_id(conversation.end[-1])
    writer.add_chat_template(tokenizer.get_chat_template())
    for tensor, values in _tensors(model, architecture):
        fitting = gguf.GGMLQuantizationType.F16 if file_type == "q8_0" and values.shape[-1] % _BLOCK else kind
        stored = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else fitting
        writer.add_tensor(tensor, quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _refused(reason: str) -> UsageError:
    return UsageError(
        f"this model cannot be written as GGUF: {reason}",
        hint="`skillpm model merge` writes safetensors, which llama.cpp's own converter may read",
    )


def _architecture(configuration: Any) -> Any:
    """Return what GGUF calls this family. Raises UsageError."""
    kind = configuration.model_type
    if kind not in _ARCHITECTURES:
        raise _refused(f"the family {kind} is not one of {', '.join(_ARCHITECTURES)}")
    rope = configuration.rope_parameters.get("rope_type", "default")
    if rope != "default":
        raise _refused(f"its positions are scaled ({rope})")
    windows = {"sliding_attention"} & set(getattr(configuration, "layer_types", None) or ())
    if windows or (kind == "mistral" and configuration.sliding_window):
        raise _refused("its attention has a window")
    if kind in ("llama", "mistral") and any(
        getattr(configuration, f"{part}_bias", False) for part in ("attention", "mlp")
    ):
        raise _refused("its layers have biases")
    if configuration.hidden_act != "silu":
        raise _refused(f"its activation is {configuration.hidden_act}")
    return _ARCHITECTURES[kind]


def _add_sizes(writer: Any, configuration: Any) -> None:
    heads, width = configuration.num_attention_heads, head_dim(configuration)
    writer.add_vocab_size(configuration.vocab_size)
    writer.add_context_length(configuration.max_position_embeddings)
    writer.add_embedding_length(configuration.hidden_size)
    writer.add_block_count(configuration.num_hidden_layers)
    writer.add_feed_forward_length(configuration.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(configuration.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(configuration.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(configuration.rms_norm_eps)


def head_dim(configuration: Any) -> int:
    """Return the width of one attention head; older configurations do not say it."""
    width: int | None = getattr(configuration, "head_dim", None)
    return width or configuration.hidden_size // configuration.num_attention_heads


def _tokenizer(tokenizer: Any) -> dict[str, Any]:
    """Return the tokenizer as its library describes it. Raises UsageError where GGUF has no name for what it does."""
    if not tokenizer.is_fast:
        raise _refused("its tokenizer is a program of its own, not a table")
    described: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    model = described["model"]
    if model["type"] != "BPE" or model.get("byte_fallback") or (described["decoder"] or {}).get("type") != "ByteLevel":
        raise _refused("its tokenizer is not a byte-level BPE")
    if (described["normalizer"] or {}).get("type", "NFC") != "NFC":
        raise _refused("its tokenizer changes texts before it cuts them")
    described["name"] = _words(described["pre_tokenizer"])
    return described


def _words(pre: dict[str, Any]) -> str:
    """Return what GGUF calls the way in which a tokenizer cuts a text into words. Raises UsageError."""
    parts = pre["pretokenizers"] if pre["type"] == "Sequence" else [pre]
    kinds = [part["type"] for part in parts]
    if kinds == ["ByteLevel"] and not parts[0]["add_prefix_space"] and parts[0]["use_regex"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0]["individual_digits"] and parts[1]["use_regex"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not parts[1]["use_regex"]:
        name = _SPLITS.get(parts[0]["pattern"].get("Regex", ""))
        if name is not None:
            return name
    raise _refused("its tokenizer cuts texts in a way that has no name in GGUF")


def _add_tokenizer(writer: Any, tokenizer: Any, described: dict[str, Any], size: int) -> None:
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [gguf.TokenType.UNUSED] * size
    for token, number in tokenizer.get_vocab().items():
        tokens[number], types[number] = token, gguf.TokenType.NORMAL
    for added in described["added_tokens"]:
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    merges = described["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(described["name"])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if number is not None:
            add(number)
    writer.add_add_bos_token(False)  # the chat template writes it where the model wants it


def _tensors(model: Any, architecture: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each tensor under GGUF's name; a head that is tied to the embeddings is not repeated."""
    configuration = model.config
    names = gguf.get_tensor_name_map(architecture, configuration.num_hidden_layers)
    heads = {".q_proj.": configuration.num_attention_heads, ".k_proj.": configuration.num_key_value_heads}
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight  # whatever config.json says
    for name, value in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise _refused(f"it has a tensor {name}")
        turned = [count for part, count in heads.items() if part in name and architecture == _INTERLEAVED]
        yield found, (_interleaved(value, turned[0]) if turned else value).float().cpu().numpy()


def _interleaved(value: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the rows of each head in pairs that are rotated together; transformers has one half after the other."""
    return value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)

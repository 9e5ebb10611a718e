"""Real models with random weights, and a real tokenizer trained on a few words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

TINY = {
    "hidden_size": 96,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
SMOLLM2_135M = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "max_position_embeddings": 8192,
    "rope_theta": 100000.0,
    "tie_word_embeddings": True,
}


def save_random_model(folder: Path, shape: dict[str, Any], gain: float) -> Path:
    """Save a model and its tokenizer; its weights are ``gain`` times as large as transformers makes them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = random_tokenizer()
    torch.manual_seed(0)
    end = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    model = LlamaForCausalLM(
        LlamaConfig(**{"vocab_size": len(tokenizer), **shape}, bos_token_id=tokenizer.bos_token_id, **end)
    )
    for parameter in model.parameters():
        parameter.data.mul_(gain)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random_tokenizer(special: Sequence[str] = ()) -> Any:
    """Return a tokenizer of bytes with ChatML; ``special`` are further tokens that are no text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(['{"tool": "dev", "args": {"port": 8123}} start the server on port'] * 4, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        bos_token="<|im_start|>",
        additional_special_tokens=list(special),
    )
    fast.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return fast


def random_architecture(name: str) -> Any:
    """Return a model of two layers of an architecture that transformers knows, with windows of six tokens."""
    import torch
    import transformers

    kind, settings = ARCHITECTURES[name]
    torch.manual_seed(0)
    configuration = getattr(transformers, f"{kind}Config")(**{**_shape(kind), **settings})
    model = transformers.AutoModelForCausalLM.from_config(configuration, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(4)
    return model.eval()


def _shape(kind: str) -> dict[str, Any]:
    """Return the sizes under the names that this family has for them."""
    ends = {"vocab_size": 288, "bos_token_id": 1, "eos_token_id": 2}
    if kind in ("GPT2", "GPTJ", "CodeGen"):
        return {**ends, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}
    if kind == "Bloom":
        return {**ends, "hidden_size": 64, "n_layer": 2, "n_head": 4}
    if kind == "Mpt":
        return {**ends, "d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 512}
    if kind in ("Mamba", "Mamba2", "Rwkv"):
        return {**ends, "hidden_size": 64, "num_hidden_layers": 2}
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 512}
    if kind == "GPTNeo":
        return {**ends, **sizes, "num_layers": 2}
    if kind == "OPT":
        return {**ends, **sizes, "num_hidden_layers": 2, "ffn_dim": 96, "word_embed_proj_dim": 64}
    if kind == "Falcon":
        return {**ends, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    grouped = {} if kind == "GPTNeoX" else {"num_key_value_heads": 2}
    return {**ends, **sizes, **grouped, "num_hidden_layers": 2, "intermediate_size": 96, "pad_token_id": 2}


_STRETCHED = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [4.0] * 8, "rope_theta": 10000.0}
_EXPERTS = {"num_experts_per_tok": 2, "head_dim": 16}
_HYBRID = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_chunk_size": 8}
_LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16}
_LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
_SHARED = {
    "num_hidden_layers": 4,
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "sliding_window": 6,
    "head_dim": 16,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 288,
}

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama, tied": ("Llama", {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2", {}),
    "qwen2, window": ("Qwen2", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "qwen3 moe": ("Qwen3Moe", {**_EXPERTS, "num_experts": 4, "moe_intermediate_size": 32}),
    "mixtral": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral, window": ("Mistral", {"sliding_window": 6}),
    "gemma": ("Gemma", {"head_dim": 16}),
    "gemma2": ("Gemma2", {"head_dim": 16, "sliding_window": 6}),
    "gemma2, no window": ("Gemma2", {"head_dim": 16, "layer_types": ["full_attention"] * 2}),
    "gemma3": ("Gemma3Text", {"head_dim": 16, "sliding_window": 6}),
    "phi": ("Phi", {}),
    "phi3": ("Phi3", {}),
    "phi3, long": ("Phi3", {"original_max_position_embeddings": 24, "rope_scaling": _STRETCHED}),
    "gpt neox": ("GPTNeoX", {}),
    "gpt2": ("GPT2", {}),
    "opt": ("OPT", {}),
    "gptj": ("GPTJ", {"rotary_dim": 8}),
    "codegen": ("CodeGen", {"rotary_dim": 8}),
    "gpt neo": ("GPTNeo", {"attention_types": [[["global", "local"], 1]], "window_size": 6}),
    "bloom": ("Bloom", {}),
    "falcon": ("Falcon", {}),
    "falcon, alibi": ("Falcon", {"alibi": True}),
    "mpt": ("Mpt", {}),
    "stablelm": ("StableLm", {}),
    "cohere": ("Cohere", {}),
    "cohere2": ("Cohere2", {"sliding_window": 6}),
    "olmo2": ("Olmo2", {}),
    "olmo3": ("Olmo3", {"sliding_window": 6}),
    "granite": ("Granite", {}),
    "smollm3": ("SmolLM3", {}),
    "gpt-oss": ("GptOss", {**_EXPERTS, "num_local_experts": 4, "sliding_window": 6}),
    "glm4": ("Glm4", {"head_dim": 16}),
    "starcoder2": ("Starcoder2", {"sliding_window": 6}),
    "hunyuan": ("HunYuanDenseV1", {"head_dim": 16}),
    "ernie 4.5": ("Ernie4_5", {"head_dim": 16}),
    "exaone4": ("Exaone4", {"sliding_window": 6, "sliding_window_pattern": 2}),
    "nemotron": ("Nemotron", {}),
    "deepseek v3": (
        "DeepseekV3",
        {
            **_LATENT,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 32,
        },
    ),
    "lfm2": ("Lfm2", {"layer_types": ["conv", "full_attention"]}),
    "qwen3-next": (
        "Qwen3Next",
        {
            **_EXPERTS,
            **_LINEAR,
            "num_experts": 4,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "granite hybrid": (
        "GraniteMoeHybrid",
        {**_HYBRID, "layer_types": ["mamba", "attention"], "num_local_experts": 0, "shared_intermediate_size": 96},
    ),
    "bamba": ("Bamba", {**_HYBRID, "attn_layer_indices": [1], "mamba_n_groups": 1}),
    "recurrent gemma": (
        "RecurrentGemma",
        {"attention_window_size": 6, "lru_width": 64, "block_types": ["recurrent", "attention"]},
    ),
    "jamba": (
        "Jamba",
        {
            "num_experts": 2,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "mamba_d_state": 8,
        },
    ),
    "mamba": ("Mamba", {"state_size": 8}),
    "mamba2": ("Mamba2", {"state_size": 8, "num_heads": 8, "head_dim": 16, "n_groups": 1, "chunk_size": 8}),
    "rwkv": ("Rwkv", {"context_length": 512}),
    "qwen3.5": ("Qwen3_5Text", {**_LINEAR, "head_dim": 16, "layer_types": ["linear_attention", "full_attention"]}),
    "gemma3n": ("Gemma3nText", {**_SHARED, "intermediate_size": [96] * 4, "laurel_rank": 8}),
    "gemma4": ("Gemma4Text", _SHARED),
    "llama4": (
        "Llama4Text",
        {
            "head_dim": 16,
            "attention_chunk_size": 6,
            "num_local_experts": 4,
            "intermediate_size_mlp": 96,
            "interleave_moe_layer_step": 2,
            "no_rope_layers": [1, 0],
        },
    ),
    "nemotron h": (
        "NemotronH",
        {
            "layers_block_type": ["mamba", "attention"],
            "head_dim": 16,
            "ssm_state_size": 8,
            "mamba_num_heads": 8,
            "mamba_head_dim": 16,
            "n_groups": 1,
            "chunk_size": 8,
            "use_mamba_kernels": False,
        },
    ),
    "falcon h1": ("FalconH1", {**_HYBRID, "mamba_d_ssm": 128, "mamba_n_groups": 1}),
    "zamba2": (
        "Zamba2",
        {
            "mamba_d_state": 8,
            "mamba_headdim": 16,
            "n_mamba_heads": 8,
            "mamba_ngroups": 1,
            "chunk_size": 8,
            "layers_block_type": ["mamba", "hybrid"],
            "hybrid_layer_ids": [1],
            "num_mem_blocks": 1,
        },
    ),
    "minimax": (
        "MiniMax",
        {**_EXPERTS, "num_local_experts": 4, "block_size": 8, "layer_types": ["linear_attention", "full_attention"]},
    ),
    "glm4 moe": (
        "Glm4Moe",
        {
            **_EXPERTS,
            "n_routed_experts": 4,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 32,
        },
    ),
    "ministral3": ("Ministral3", {"head_dim": 16, "sliding_window": 6}),
    "olmo hybrid": ("OlmoHybrid", {**_LINEAR, "layer_types": ["linear_attention", "full_attention"]}),
}
"""Architectures by name: transformers' name of the configuration, and what differs from the usual sizes."""

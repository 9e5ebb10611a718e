"""Attention that follows the tree in which ``prefix_tree.py`` lays rows out: a piece looks at what stands before it.

A mask hides from a token what is not of its row, and the products are computed all the same: of 16 answers behind a
system prompt, three of four. Here each piece is multiplied with its own beginnings alone. This is for the CPU: on a GPU
one kernel with a mask is started, not many small ones. It takes the place of transformers' function for torch's
attention, and is that where a model is not told of a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from skillpm.train.hf.prefix_tree import Piece

_NONE = -1  # stands before a piece that begins a row


def outline(pieces: Sequence[Piece]) -> torch.Tensor:
    """Return how many tokens each piece has, and the number of the piece before it, shape (pieces, 2)."""
    return torch.tensor([(len(piece.tokens), piece.before[-1] if piece.before else _NONE) for piece in pieces])


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    tree: torch.Tensor | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention output, shape (1, length, heads, size); the signature is transformers'."""
    dtype = query.dtype
    if dtype == torch.bfloat16 and query.device.type == "cpu" and torch.is_grad_enabled():
        # The backward pass of torch's kernel takes nearly twice as long in bfloat16 as in float32, and rounds more.
        query, key, value = query.float(), key.float(), value.float()
        if attention_mask is not None and attention_mask.is_floating_point():
            attention_mask = attention_mask.float()
    if tree is None or query.device.type != "cpu" or rest.get("position_bias") is not None:
        found, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **rest)
        return found.to(dtype), None
    lengths, parents = tree.T.tolist()
    queries, keys, values = (torch.split(part, lengths, dim=2) for part in (query, key, value))
    paths: list[list[int]] = []
    parts = []
    for number, parent in enumerate(parents):
        paths.append([*([] if parent == _NONE else paths[parent]), number])
        seen_keys, seen_values = (torch.cat([part[piece] for piece in paths[number]], dim=2) for part in (keys, values))
        behind = seen_keys.shape[2] - lengths[number]
        mask = torch.ones(lengths[number], seen_keys.shape[2], dtype=torch.bool, device=query.device).tril(behind)
        parts.append(
            functional.scaled_dot_product_attention(
                queries[number], seen_keys, seen_values, mask, dropout, scale=scaling, enable_gqa=True
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2).to(dtype).contiguous(), None


AttentionInterface.register("sdpa", _attend)

"""Attention of many rows over one prefix that they share, without a copy of the prefix for each row.

The scores of all rows against the shared keys are one matrix product, those against a row's own keys another; one
softmax runs over both. The result is that of attention over the whole sequence (the idea of cascade inference: Ye et
al. 2024, "Cascade Inference: Memory Bandwidth Efficient Shared Prefix Batch Decoding").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

Prefix = Sequence[tuple[torch.Tensor, torch.Tensor]]  # keys and values of each layer, shape (heads, length, size)

_NAME = "skillpm_shared_prefix"
_prefix: ContextVar[Prefix] = ContextVar("prefix")


@contextmanager
def over_prefix(model: Any, prefix: Prefix) -> Iterator[None]:
    """Let the model's layers attend to ``prefix`` before their own keys; to those alone where it is empty."""
    if not prefix:
        yield
        return
    # A private name of transformers, set and put back around one forward pass. docs/decisions/library-internals.md
    # lists all such places, and the test that notices when one of them changes.
    before = model.config._attn_implementation
    token = _prefix.set(prefix)
    model.config._attn_implementation = _NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
        _prefix.reset(token)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention output, shape (rows, length, heads, size); the signature is transformers'."""
    # One softmax over both parts, in float32: the weights of the prefix and of a row's own keys have to add up to one.
    # The prefix needs no mask, for every token of every row comes after all of it. The rows stand side by side in one
    # matrix product with the shared keys, which are read once for all of them: that is where the time is saved.
    rows, heads, length, size = query.shape
    groups = key.shape[1]
    shared_keys, shared_values = _prefix.get()[module.layer_idx]
    scale = size**-0.5 if scaling is None else scaling
    queries = query.reshape(rows, groups, -1, size) * scale  # query heads of one group stand behind one another
    own = queries @ key.transpose(-1, -2)
    own = (own.view(rows, groups, -1, length, key.shape[2]) + attention_mask[:, :, None]).view_as(own)
    there = _by_group(queries) @ shared_keys.transpose(-1, -2)
    weights = torch.cat([_by_row(there, rows), own], dim=-1).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    split = shared_keys.shape[1]
    found = weights[..., split:] @ value + _by_row(_by_group(weights[..., :split]) @ shared_values, rows)
    return found.reshape(rows, heads, length, size).transpose(1, 2).contiguous(), None


def _by_group(tensor: torch.Tensor) -> torch.Tensor:
    """(rows, groups, queries, n) to (groups, rows * queries, n)."""
    return tensor.transpose(0, 1).flatten(1, 2)


def _by_row(tensor: torch.Tensor, rows: int) -> torch.Tensor:
    """(groups, rows * queries, n) to (rows, groups, queries, n)."""
    return tensor.view(tensor.shape[0], rows, -1, tensor.shape[-1]).transpose(0, 1)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])

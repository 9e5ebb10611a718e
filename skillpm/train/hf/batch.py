"""How rows decoded side by side go through the model: from the fastest way to the one that always works."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import accumulate, pairwise
from typing import Any, Protocol

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from skillpm.train.hf.attention import Prefix, over_prefix
from skillpm.train.hf.side_by_side import evenly, most_parts, together

_FEWEST = 8  # rows of a part: each reads all weights for itself
MAX_OWN = 256  # tokens; longer parts of their own are run with the model's own attention, which needs less memory


class Way(Enum):
    """A way to run a batch; ``capability.py`` takes the first that is exact for a model.

    Each takes less for granted than the one before: DIVIDED, that threads may ask the model at the same time; SHARED,
    that every layer attends to all keys before it, in the shape that ``attention.py`` expects; PADDED, that the model
    leaves masked tokens out; EQUAL, that its cache continues a sequence; RECOMPUTED, nothing.
    """

    DIVIDED = "shared prefix, rows divided among cores"
    SHARED = "shared prefix"
    PADDED = "padded rows"
    EQUAL = "rows of equal length"
    RECOMPUTED = "rows of equal length, no cache"

    @property
    def equal(self) -> bool:
        """Must the prompts of a batch have the same length?"""
        return self in (Way.EQUAL, Way.RECOMPUTED)


class Batch(Protocol):
    """Rows of a model's state, and the logits of their next tokens."""

    @property
    def logits(self) -> torch.Tensor:
        """Shape (rows, vocabulary), float32."""

    def extend(self, tokens: torch.Tensor) -> None:
        """Append tokens to the rows, shape (rows, tokens)."""


def open_batch(model: Any, prompts: Sequence[Sequence[int]], samples: int, pad: int, way: Way) -> Batch:
    """Run prompts through a model, ``samples`` rows for each."""
    if way in (Way.DIVIDED, Way.SHARED):
        prefix = prefix_of(model, prompts, MAX_OWN)
        parts = min(most_parts(model), len(prompts) * samples // _FEWEST) if way is Way.DIVIDED else 1
        if parts > 1:
            return DividedBatch(model, prompts, samples, pad, prefix, parts)
        return SharedBatch(model, prompts, samples, pad, prefix)
    return PlainBatch(model, [prompt for prompt in prompts for _ in range(samples)], pad, way)


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all prompts share, at least one token of each left over."""
    shortest = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    for position in range(shortest):
        if any(prompt[position] != first[position] for prompt in prompts):
            return position
    return shortest


class _GrowingLayer(DynamicLayer):
    """Keys and values of one layer as views of buffers with room to grow; DynamicLayer copies all at each token."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: torch.Tensor
        self.values: torch.Tensor
        self._room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        end = length + key_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < end:
            self._room = (self._grown(key_states, length, end), self._grown(value_states, length, end))
            if length:
                self._room[0][:, :, :length] = self.keys
                self._room[1][:, :, :length] = self.values
        self._room[0][:, :, length:end] = key_states
        self._room[1][:, :, length:end] = value_states
        self.keys, self.values = self._room[0][:, :, :end], self._room[1][:, :, :end]
        return self.keys, self.values

    def _grown(self, states: torch.Tensor, length: int, end: int) -> torch.Tensor:
        # room in proportion to the length: then a token is copied a constant number of times however long the answer
        shape = (*states.shape[:2], end + max(32, length // 2), states.shape[-1])
        return torch.empty(shape, dtype=states.dtype, device=states.device)

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._room = None

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._room = None


def _new_cache(model: Any) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    cache.layers = [_GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def prefix_of(model: Any, prompts: Sequence[Sequence[int]], max_own: int) -> Prefix:
    """Run the beginning that all prompts share; empty where there is none, or where a prompt has more of its own."""
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    if not shared or max(len(prompt) for prompt in prompts) - shared > max_own:
        return []
    cache = _new_cache(model)
    ids = torch.tensor([list(prompts[0][:shared])], device=model.device)
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


class SharedBatch:
    """Rows whose common beginning is run once and kept once, in buffers with room to grow.

    Samples of one prompt share its prefill, and rows that have ended leave the batch.

    Args:
        model: a causal language model.
        prompts: token ids.
        samples: rows for each.
        pad: the padding token.
        prefix: of ``prefix_of``.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], samples: int, pad: int, prefix: Prefix) -> None:
        self._model, self._prefix, self._cache = model, prefix, _new_cache(model)
        self._shared = shared = prefix[0][0].shape[1] if prefix else 0
        width = max(len(prompt) for prompt in prompts) - shared
        # Padding on the left: then the last column is the end of every row, its logits are the next token's, and all
        # rows grow by the same column. Positions leave the padding out, so each row has those that it has alone.
        ids = torch.full((len(prompts), width), pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            own = torch.tensor(prompt[shared:])
            ids[row, width - len(own) :] = own
            mask[row, width - len(own) :] = 1
        self._mask = mask.to(model.device)
        self.logits = self._forward(ids.to(model.device), (self._mask.cumsum(dim=1) - 1).clamp(min=0))
        # only now are rows repeated: the samples of a prompt differ from its first answer token on, not before
        if samples > 1:
            self._cache.batch_repeat_interleave(samples)
            self._mask = self._mask.repeat_interleave(samples, dim=0)
            self.logits = self.logits.repeat_interleave(samples, dim=0)

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self._mask)

    def keep(self, going: list[int], tokens: torch.Tensor) -> torch.Tensor:
        """Leave only these rows; return their tokens."""
        rows = torch.tensor(going, device=self._mask.device)
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        return tokens[rows]

    def extend(self, tokens: torch.Tensor) -> None:
        """Append tokens to the rows, shape (rows, tokens)."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(tokens.shape)], dim=1)
        self.logits = self._forward(tokens, self._mask.cumsum(dim=1)[:, -tokens.shape[1] :] - 1)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the logits of the last position, shape (rows, vocabulary), float32."""
        with over_prefix(self._model, self._prefix):
            output = self._model(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=positions + self._shared,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1].float()


class DividedBatch:
    """The same in parts, each of which runs in a thread of its own; arguments as of ``SharedBatch``.

    Args:
        parts: at most.
    """

    def __init__(
        self, model: Any, prompts: Sequence[Sequence[int]], samples: int, pad: int, prefix: Prefix, parts: int
    ) -> None:
        self._model, self._prefix = model, prefix
        shares = evenly(prompts, [len(prompt) for prompt in prompts], parts)
        with over_prefix(model, prefix):  # threads would put back what another one has set
            self._parts = together(lambda share: SharedBatch(model, share, samples, pad, prefix), shares)

    @property
    def logits(self) -> torch.Tensor:
        """Those of all parts."""
        return torch.cat([part.logits for part in self._parts])

    def keep(self, going: list[int], tokens: torch.Tensor) -> torch.Tensor:
        """Leave only these rows; return their tokens."""
        rows = torch.tensor(going)
        ends = list(accumulate((part.rows for part in self._parts), initial=0))
        kept = [
            (part, rows[(rows >= begin) & (rows < end)] - begin, tokens[begin:end])
            for part, (begin, end) in zip(self._parts, pairwise(ends), strict=True)
        ]
        self._parts = [part for part, own, _ in kept if len(own)]
        return torch.cat([part.keep(own.tolist(), its) for part, own, its in kept if len(own)])

    def extend(self, tokens: torch.Tensor) -> None:
        """Append tokens to the rows, shape (rows, tokens)."""
        shares = torch.split(tokens, [part.rows for part in self._parts])
        with over_prefix(self._model, self._prefix):
            together(lambda pair: pair[0].extend(pair[1]), list(zip(self._parts, shares, strict=True)))


Gathered = SharedBatch | DividedBatch  # batches that ended rows can leave


class PlainBatch:
    """Rows as the model itself takes them: whole prompts, its own attention and its own cache, if it has one.

    A cache that holds more than keys and values, such as the state of a recurrent layer, cannot be repeated or
    gathered, so prompts are repeated instead, and rows that have ended stay.
    """

    def __init__(self, model: Any, rows: Sequence[Sequence[int]], pad: int, way: Way) -> None:
        self._model = model
        self._cache = None if way is Way.RECOMPUTED else DynamicCache(config=model.config)
        width = max(len(row) for row in rows)
        padded = [[pad] * (width - len(row)) + list(row) for row in rows]
        self._ids = torch.tensor(padded, device=model.device)
        self._mask = None
        if way is Way.PADDED:
            self._mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
        self.logits = self._forward(self._ids)

    def extend(self, tokens: torch.Tensor) -> None:
        """Append tokens to the rows, shape (rows, tokens)."""
        added = tokens
        if self._mask is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(added)], dim=1)
        if self._cache is None:
            self._ids = added = torch.cat([self._ids, added], dim=1)
        self.logits = self._forward(added)

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        inputs: dict[str, Any] = {"input_ids": ids, "use_cache": self._cache is not None}
        if self._cache is not None:
            inputs["past_key_values"] = self._cache
        if self._mask is not None:
            inputs["attention_mask"] = self._mask
            inputs["position_ids"] = (self._mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits: torch.Tensor = self._model(**inputs).logits[:, -1].float()
        return logits

"""A decoding loop for many short answers to prompts that begin alike.

What the prompts of a batch have in common is run through the model once and kept once, samples of one prompt share its
prefill, rows that have ended leave the batch, and keys and values are written in place into buffers with room to grow.
The answers are those of plain decoding: greedy at temperature 0, else sampled from the model's distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from skillpm.train.hf.attention import Prefix, can_share, over_prefix

# Gathering copies all keys and values. Keeping an ended row costs its share of each step. So the batch is gathered
# neither after every row nor never.
_LEAVE = 0.75  # the batch is gathered anew when so few of its rows are still going
_MAX_OWN = 256  # tokens; longer parts of their own are run with the model's own attention, which needs less memory


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode.

    Attributes:
        max_new_tokens: where an answer is cut.
        stop: tokens that end an answer; they are part of it.
        pad: the padding token.
        temperature: 0 for greedy.
        samples: answers to each prompt.
        batch_size: rows that are decoded side by side.
        seed: of the sampling.
    """

    max_new_tokens: int
    stop: frozenset[int]
    pad: int
    temperature: float = 0.0
    samples: int = 1
    batch_size: int = 32
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer: to which prompt, which of its samples, its tokens, and whether it ended by itself."""

    prompt: int
    sample: int
    tokens: list[int]
    stopped: bool


@dataclass(slots=True)
class _Row:
    """A row of the batch while it is decoded."""

    prompt: int
    sample: int
    tokens: list[int] = field(default_factory=list)
    going: bool = True


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


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all prompts share, at least one token of each left over."""
    shortest = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    for position in range(shortest):
        if any(prompt[position] != first[position] for prompt in prompts):
            return position
    return shortest


def like_prompts(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group prompts, by their numbers, so that those of a group begin alike.

    In alphabetical order of their tokens, a group ends where two neighbours share less than half of what neighbours
    usually share: there one system prompt ends and another begins.
    """
    # Sorted, prompts that begin alike are neighbours, so n - 1 comparisons do for all pairs. Neighbours of one skill
    # share its whole system prompt, those of two skills little more than the beginning of the chat template; half of
    # the median lies between.
    order = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
    links = [common_prefix([prompts[a], prompts[b]]) for a, b in pairwise(order)]
    usual = median(links) if links else 0
    groups = [order[:1]]
    for number, link in zip(order[1:], links, strict=True):
        if 2 * link < usual:
            groups.append([])
        groups[-1].append(number)
    return [group for group in groups if group]


@torch.inference_mode()
def decode(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Iterator[Decoded]:
    """Decode answers to prompts; batches are made of prompts that begin alike and are of like length.

    Args:
        model: a causal language model in evaluation mode.
        prompts: token ids.
        sampling: how.

    Yields:
        Each answer when it has ended, in no order.
    """
    # Chance comes from the CPU, and so do the draws: one seed gives the same random numbers on every device. One
    # generator serves all batches, so sampled answers depend on the batch size as well as on the seed.
    size = max(1, sampling.batch_size // sampling.samples)
    generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
    for alike in like_prompts(prompts):
        for start in range(0, len(alike), size):
            chosen = alike[start : start + size]
            yield from _decode_batch(model, [prompts[i] for i in chosen], chosen, sampling, generator)


def _decode_batch(
    model: Any, prompts: list[Sequence[int]], names: list[int], sampling: Sampling, generator: torch.Generator
) -> Iterator[Decoded]:
    batch = _Batch(model, prompts, sampling)
    rows = [_Row(name, sample) for name in names for sample in range(sampling.samples)]
    for step in range(sampling.max_new_tokens):
        tokens = _choose(batch.logits, sampling.temperature, generator)
        last = step + 1 == sampling.max_new_tokens
        # A row that has ended goes on in the batch until the next gathering; what it decodes is thrown away. It is
        # yielded at once, not with its batch, so that its verifier works while the others are still decoded.
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if row.going:
                row.tokens.append(token)
                row.going = token not in sampling.stop and not last
                if not row.going:
                    yield Decoded(row.prompt, row.sample, row.tokens, token in sampling.stop)
        going = [number for number, row in enumerate(rows) if row.going]
        if not going:
            return
        if len(going) <= _LEAVE * len(rows):
            rows = [rows[number] for number in going]
            tokens = batch.keep(going, tokens)
        batch.extend(tokens)


class _Batch:
    """Rows of the model's state: what their prompts share, their own keys and values, and their next logits."""

    def __init__(self, model: Any, prompts: list[Sequence[int]], sampling: Sampling) -> None:
        self._model = model
        longest = max(len(prompt) for prompt in prompts)
        shared = common_prefix(prompts) if len(prompts) > 1 and can_share(model) else 0
        if longest - shared > _MAX_OWN:
            shared = 0
        self._shared = shared
        self._prefix = self._run_prefix(prompts[0][:shared]) if shared else None
        self._cache = self._new_cache()
        width = longest - shared
        # Padding on the left: then the last column is the end of every row, its logits are the next token's, and all
        # rows grow by the same column. Positions leave the padding out, so each row has those that it has alone.
        ids = torch.full((len(prompts), width), sampling.pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            own = torch.tensor(prompt[shared:])
            ids[row, width - len(own) :] = own
            mask[row, width - len(own) :] = 1
        self._mask = mask.to(model.device)
        self.logits = self._forward(ids.to(model.device), (self._mask.cumsum(dim=1) - 1).clamp(min=0))
        # only now are rows repeated: the samples of a prompt differ from its first answer token on, not before
        if sampling.samples > 1:
            self._cache.batch_repeat_interleave(sampling.samples)
            self._mask = self._mask.repeat_interleave(sampling.samples, dim=0)
            self.logits = self.logits.repeat_interleave(sampling.samples, dim=0)

    def keep(self, going: list[int], tokens: torch.Tensor) -> torch.Tensor:
        """Leave only these rows; return their tokens."""
        rows = torch.tensor(going, device=self._mask.device)
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        return tokens[rows]

    def extend(self, tokens: torch.Tensor) -> None:
        """Append one token to each row."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        self.logits = self._forward(tokens[:, None], self._mask.sum(dim=1, keepdim=True) - 1)

    def _new_cache(self) -> DynamicCache:
        cache = DynamicCache(config=self._model.config)
        cache.layers = [_GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
        return cache

    def _run_prefix(self, tokens: Sequence[int]) -> Prefix:
        cache = self._new_cache()
        ids = torch.tensor([list(tokens)], device=self._model.device)
        self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return [(layer.keys[0], layer.values[0]) for layer in cache.layers]

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the logits of the last position, shape (rows, vocabulary), float32."""
        with nullcontext() if self._prefix is None else over_prefix(self._model, self._prefix):
            output = self._model(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=positions + self._shared,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1].float()


def _choose(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]

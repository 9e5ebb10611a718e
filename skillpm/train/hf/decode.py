"""A decoding loop for many short answers to prompts that begin alike.

The answers are those of plain decoding: greedy at temperature 0, else sampled from the model's distribution.
``batch.py`` runs a batch of rows through the model; ``capability.py`` tries which way of doing so this model allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

import torch

from skillpm.train.hf.batch import MAX_OWN, Batch, Gathered, common_prefix, open_batch
from skillpm.train.hf.capability import decoding_way
from skillpm.train.hf.grammar import Grammar

# Gathering copies all keys and values. Keeping an ended row costs its share of each step. So the batch is gathered
# neither after every row nor never.
_FEW = 24  # rows
_COLDEST = 1e-30  # logits divided by less than this are no numbers
_LEAVE = 0.75  # the batch is gathered anew when so few of its rows are still going


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
        places: which sample of its group the answer to each prompt is, where it is not the first of its own.
        confidence: is the probability of each token looked at?
        grammar: what answers may be; anything where None.
        unwanted: is asked before each token whether the answer to a prompt is cut where it is.
    """

    max_new_tokens: int
    stop: frozenset[int]
    pad: int
    temperature: float = 0.0
    samples: int = 1
    batch_size: int = 32
    seed: int = 0
    places: Sequence[int] = ()
    confidence: bool = False
    grammar: Grammar | None = None
    unwanted: Callable[[int], bool] = lambda prompt: False


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer: to which prompt, which of its samples, its tokens, and whether it ended by itself.

    Attributes:
        confidence: the probability of its least likely token; None where nobody looked.
    """

    prompt: int
    sample: int
    tokens: list[int]
    stopped: bool
    confidence: float | None = None


@dataclass(slots=True)
class _Row:
    """A row of the batch while it is decoded."""

    prompt: int
    sample: int
    matcher: Any = None  # of the grammar
    tokens: list[int] = field(default_factory=list)
    going: bool = True
    chance: random.Random | None = None
    confidence: float | None = None

    def add(self, token: int, probability: float | None) -> None:
        """Take the next token of the answer."""
        self.tokens.append(token)
        if probability is not None:
            self.confidence = min(probability, 1.0 if self.confidence is None else self.confidence)
        if self.matcher is not None:
            self.matcher.consume_token(token)


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


def joined(groups: Sequence[list[int]], prompts: Sequence[Sequence[int]], samples: int) -> list[list[int]]:
    """Put groups of few rows and short prompts together: a step takes about as long for two dozen rows as for a few.

    What a group shares is then run for each of its rows, once, and that costs less than steps of its own.
    """
    apart: list[list[int]] = []
    together: list[list[int]] = []
    for group in groups:
        if len(group) * samples >= _FEW or max(len(prompts[number]) for number in group) > MAX_OWN:
            apart.append(group)
        elif together and (len(together[-1]) + len(group)) * samples <= _FEW:
            together[-1] = together[-1] + group
        else:
            together.append(group)
    return apart + together


def equal_prompts(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group prompts, by their numbers, so that those of a group have the same length."""
    lengths = sorted({len(prompt) for prompt in prompts})
    return [[number for number, prompt in enumerate(prompts) if len(prompt) == length] for length in lengths]


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
    # Each answer has its own random numbers, from the CPU: one seed gives the same ones on every device, whatever is
    # decoded beside it.
    way = decoding_way(model, prompts, sampling.pad, sampling.max_new_tokens)
    size = max(1, sampling.batch_size // sampling.samples)
    groups = equal_prompts(prompts) if way.equal else joined(like_prompts(prompts), prompts, sampling.samples)
    for alike in groups:
        for start in range(0, len(alike), size):
            chosen = [number for number in alike[start : start + size] if not sampling.unwanted(number)]
            if not chosen:
                continue
            batch = open_batch(model, [prompts[i] for i in chosen], sampling.samples, sampling.pad, way)
            begin = (lambda: None) if sampling.grammar is None else sampling.grammar.begin
            rows = [_Row(prompt, sample, begin()) for prompt in chosen for sample in range(sampling.samples)]
            if sampling.temperature:
                for row in rows:
                    place = sampling.places[row.prompt] if sampling.places else row.sample
                    row.chance = random.Random(f"{sampling.seed} {place} {list(prompts[row.prompt])}")
            yield from _decode_batch(batch, rows, sampling)


def _decode_batch(batch: Batch, rows: list[_Row], sampling: Sampling) -> Iterator[Decoded]:
    length = 0  # of every answer that goes on
    while length < sampling.max_new_tokens:
        logits = batch.logits
        if sampling.grammar is not None:
            logits = sampling.grammar.allowed([row.matcher if row.going else None for row in rows], logits)
        tokens = _choose(logits, sampling.temperature, [row.chance for row in rows if row.chance])
        likely = _probabilities(logits, tokens) if sampling.confidence else [None] * len(rows)
        length += 1
        last = length == sampling.max_new_tokens
        # A row that has ended goes on in the batch until the next gathering; what it decodes is thrown away. It is
        # yielded at once, not with its batch, so that its verifier works while the others are still decoded.
        for row, token, probability in zip(rows, tokens.tolist(), likely, strict=True):
            if row.going:
                row.add(token, probability)
                row.going = not (token in sampling.stop or last or sampling.unwanted(row.prompt))
                if not row.going:
                    yield Decoded(row.prompt, row.sample, row.tokens, token in sampling.stop, row.confidence)
        going = [number for number, row in enumerate(rows) if row.going]
        if not going:
            return
        if isinstance(batch, Gathered) and len(going) <= _LEAVE * len(rows):
            rows = [rows[number] for number in going]
            tokens = batch.keep(going, tokens)
        added = tokens[:, None]
        # a model whose cache is more than keys and values need not take several tokens at once
        if sampling.grammar is not None and isinstance(batch, Gathered):
            forced = _forced(rows, sampling.grammar, sampling.max_new_tokens - length - 1, sampling.pad)
            added = torch.cat([added, forced.to(added)], dim=1)
            length += forced.shape[1]
        batch.extend(added)


def _forced(rows: Sequence[_Row], grammar: Grammar, most: int, pad: int) -> torch.Tensor:
    """Give the rows the tokens that are their only choice; return them, shape (rows, tokens). No model is asked."""
    going = [row for row in rows if row.going]
    runs = grammar.forced([row.matcher for row in going], most)
    for row, run in zip(going, runs, strict=True):
        row.tokens += run
    ended = [pad] * len(runs[0])
    given = iter(runs)
    return torch.tensor([next(given) if row.going else ended for row in rows], dtype=torch.long)


def _probabilities(logits: torch.Tensor, tokens: torch.Tensor) -> Sequence[float | None]:
    """Return the probability of the token that was chosen for each row, at temperature 1."""
    logits = logits.float()
    chosen = logits.gather(-1, tokens[:, None])[:, 0]
    probabilities: list[float | None] = (chosen - logits.logsumexp(dim=-1)).exp().tolist()
    return probabilities


def _choose(logits: torch.Tensor, temperature: float, chances: Sequence[random.Random]) -> torch.Tensor:
    """Return the next token of each row: the most likely one, or by the inverse of the row's own distribution."""
    if temperature < _COLDEST:
        return logits.argmax(dim=-1)
    sums = torch.softmax(logits / temperature, dim=-1).double().cumsum(dim=-1)
    drawn = torch.tensor([[chance.random()] for chance in chances], dtype=sums.dtype, device=sums.device)
    return torch.searchsorted(sums, drawn * sums[:, -1:], right=True)[:, 0].clamp(max=sums.shape[-1] - 1)

"""Batches in which rows share their common beginnings.

Most tokens of a short tool call are its system prompt, the same in every row of a skill. A batch is laid out as one
sequence, a tree: each shared beginning once, then what is each row's own. Logits and gradients are those of separate
rows at about half the tokens. A batch of one skill shares most, so batches are made of one skill where its rows allow.
Cores of a CPU that would wait for each other in one tree get a tree each.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.utils.data
from accelerate.utils import extract_model_from_parallel

from skillpm.train.hf.prefix_tree import Piece, positions, prefix_tree, visible
from skillpm.train.hf.side_by_side import evenly, side_by_side
from skillpm.train.hf.tree_attention import outline

IGNORED = -100  # the label of a token that is not learned
_INPUTS = frozenset({"input_ids", "attention_mask", "position_ids", "tree"})
# Of the tokens of one tree. A larger tree runs no faster beside others than that one; more tokens take its memory, too.
_LARGEST, _MOST = 0.8, 1.5


def encode_rows(rows: Sequence[tuple[str, list[int], list[int]]], max_length: int) -> list[dict[str, Any]]:
    """Turn ``(skill, prompt tokens, answer tokens)`` into features; rows longer than ``max_length`` are left out.

    The tokens of an answer end with those that end its turn.

    Returns:
        ``input_ids``, ``answer`` (where the answer begins) and ``group`` (the skill).
    """
    # A row that is too long is left out, not cut: half an answer taught is an answer that never ends.
    return [
        {"input_ids": [*prompt, *answer], "answer": len(prompt), "group": skill}
        for skill, prompt, answer in rows
        if len(prompt) + len(answer) <= max_length
    ]


def logits_at(model: Any, inputs: Mapping[str, torch.Tensor], columns: torch.Tensor) -> torch.Tensor:
    """Return the logits of some columns, shape (rows, columns, vocabulary); not every model can skip the others."""
    if "logits_to_keep" in inspect.signature(_base(model).forward).parameters:
        logits: torch.Tensor = model(**inputs, use_cache=False, logits_to_keep=columns).logits
        return logits
    logits = model(**inputs, use_cache=False).logits
    return logits[:, columns]


def _base(model: Any) -> Any:
    """Return the model of transformers below an adapter, and below what several processes wrap it in."""
    model = extract_model_from_parallel(model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@dataclass(frozen=True, slots=True)
class AnswerLoss:
    """The loss of a batch.

    Attributes:
        total: the summed cross-entropy of its labelled tokens, nats; differentiable.
        count: how many tokens those are.
        hits: how many of them are the most likely ones.
    """

    total: torch.Tensor
    count: int
    hits: int


def answer_logits(model: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the model says in the place of each labelled token of a collated batch, and these tokens, in order.

    The output layer runs where some row has a label, and nowhere else.

    Returns:
        Logits of shape (tokens, vocabulary), float32, and token ids of shape (tokens,).
    """
    learned = batch["labels"][batch["labels"] != IGNORED]
    return by_trees(model, batch, lambda tree: _tree_logits(model, tree)), learned


def _tree_logits(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    labels = batch["labels"][:, 1:]
    columns = (labels != IGNORED).any(dim=0).nonzero()[:, 0]
    inputs = {name: tensor for name, tensor in batch.items() if name in _INPUTS}
    return logits_at(model, inputs, columns)[labels[:, columns] != IGNORED].float()


def by_trees(
    model: Any, batch: Mapping[str, torch.Tensor], run: Callable[[Mapping[str, torch.Tensor]], torch.Tensor]
) -> torch.Tensor:
    """Return what ``run`` gives for a collated batch; where that has several trees, for each of them, side by side."""
    if "alone" in batch:
        names, lengths = ("input_ids", "labels", "attention_mask"), batch["alone"].tolist()
        rows = ({name: batch[name][row : row + 1, :length] for name in names} for row, length in enumerate(lengths))
        return torch.cat([run(row) for row in rows])
    return side_by_side(run, _trees(batch), model) if "trees" in batch else run(batch)


def _trees(batch: Mapping[str, torch.Tensor]) -> list[Mapping[str, torch.Tensor]]:
    """Take a batch of ``PrefixPacking`` apart."""
    found: list[Mapping[str, torch.Tensor]] = []
    token = piece = 0
    for tokens, pieces in batch["trees"].tolist():
        own = slice(token, token + tokens)
        tree = {name: batch[name][:, own] for name in ("input_ids", "labels", "position_ids")}
        tree["attention_mask"] = batch["attention_mask"][:, :, own, own]
        if "tree" in batch:
            tree["tree"] = batch["tree"][piece : piece + pieces]
        found.append(tree)
        token, piece = token + tokens, piece + pieces
    return found


def answer_loss(model: Any, batch: Mapping[str, torch.Tensor]) -> AnswerLoss:
    """Return the loss of a collated batch."""
    logits, targets = answer_logits(model, batch)
    total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return AnswerLoss(total, len(targets), int((logits.detach().argmax(dim=-1) == targets).sum()))


class GroupedOrder(torch.utils.data.Sampler[int]):
    """Visits rows in a random order in which a batch holds rows of one group, so that it has one shared beginning.

    What is left of the groups after their whole batches comes last, mixed. Each pass has an order of its own.

    Args:
        groups: of each row.
        batch_size: rows of a batch.
        seed: of the orders.
        multiple: a pass ends with the number of rows, once or more, so that its length is a multiple of this.
    """

    def __init__(self, groups: Sequence[str], batch_size: int, seed: int, multiple: int = 1) -> None:
        self._groups = groups
        self._batch_size = batch_size
        self._chance = random.Random(seed)
        self._more = -len(groups) % multiple

    def __len__(self) -> int:
        return len(self._groups) + self._more

    def __iter__(self) -> Iterator[int]:
        # Whole batches of one group are shuffled among the others, so that no skill is learned last. The rest is not
        # dropped: a skill with fewer rows than a batch holds would never be learned at all.
        batches: list[list[int]] = []
        left: list[int] = []
        for name in sorted(set(self._groups)):  # sorted: the order of a set of texts is another in each process
            rows = [row for row, group in enumerate(self._groups) if group == name]
            self._chance.shuffle(rows)
            whole = len(rows) - len(rows) % self._batch_size
            batches += [rows[start : start + self._batch_size] for start in range(0, whole, self._batch_size)]
            left += rows[whole:]
        self._chance.shuffle(batches)
        return chain(*batches, left, [len(self._groups)] * self._more)


class SeparateRows:
    """Collates features of ``encode_rows`` into rows that are padded on the right and attended to as the model does.

    A causal model never looks to the right, so that the padding changes no row; shapes (rows, length).

    Args:
        pad: the padding token.
        alone: the rows are run one by one, for a model that reads a row otherwise where the batch is longer. Then
            ``alone`` has the length of each.
    """

    def __init__(self, pad: int, *, alone: bool = False) -> None:
        self._pad = pad
        self.alone = alone

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Lay a batch out."""
        width = max(len(feature["input_ids"]) for feature in features)
        rows = [(list(feature["input_ids"]), int(feature["answer"])) for feature in features]
        lengths = {"alone": torch.tensor([len(ids) for ids, _ in rows])} if self.alone else {}
        return {
            **lengths,
            "input_ids": torch.tensor([ids + [self._pad] * (width - len(ids)) for ids, _ in rows]),
            "labels": torch.tensor([[IGNORED] * at + ids[at:] + [IGNORED] * (width - len(ids)) for ids, at in rows]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows]),
        }


@dataclass(frozen=True, slots=True)
class _Tree:
    """Rows laid out behind their shared beginnings.

    Attributes:
        pieces: of ``prefix_tree``.
        labels: of all tokens of the pieces; they stand in the order of the rows.
    """

    pieces: Sequence[Piece]
    labels: Sequence[int]

    @classmethod
    def of(cls, features: Sequence[Mapping[str, Any]]) -> _Tree:
        """Lay out features of ``encode_rows``."""
        rows = [list(feature["input_ids"]) for feature in features]
        # The last token of a prompt is never shared: it predicts the first of the answer, and so stands before it.
        # Labels are shifted by one over the whole sequence; the first token of a piece is a prompt's, never learned.
        pieces = prefix_tree(rows, [int(feature["answer"]) - 1 for feature in features])
        beginnings = len(pieces) - len(rows)
        labels = [IGNORED] * sum(len(piece.tokens) for piece in pieces[:beginnings])
        for piece, feature in zip(pieces[beginnings:], features, strict=True):
            prompt = int(feature["answer"]) - piece.start
            labels += [*[IGNORED] * prompt, *piece.tokens[prompt:]]
        return cls(pieces, labels)


class PrefixPacking:
    """Collates features of ``encode_rows`` into one sequence, shapes (1, length), and a mask (1, 1, length, length).

    The labelled tokens stand in the order of the features.

    Args:
        additive: the mask is added to the scores, as eager attention takes it, in place of true and false.
        parts: into how many trees rows may be divided. Where they are, ``trees`` has the tokens and the pieces of each,
            shape (trees, 2).
    """

    def __init__(self, *, additive: bool = False, parts: int = 1) -> None:
        self._additive, self._parts = additive, parts

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Lay a batch out, in several trees where that is faster."""
        whole, parts = _Tree.of(features), self._parts
        while parts > 1:
            trees = _trees_of(features, parts)
            tokens = [len(tree.labels) for tree in trees]
            if max(tokens) < _LARGEST * len(whole.labels) and sum(tokens) <= _MOST * len(whole.labels):
                return self._laid_out(trees)
            parts = (parts + 1) // 2
        return self._laid_out([whole])

    @property
    def trials(self) -> list[Callable[[Sequence[Mapping[str, Any]]], dict[str, torch.Tensor]]]:
        """Ways to lay a batch out that show between them whether this one is right: one tree, and several."""
        return [self.whole, self.divided] if self._parts > 1 else [self.whole]

    def whole(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Lay a batch out in one tree."""
        return self._laid_out([_Tree.of(features)])

    def divided(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Lay a batch out, in several trees where there may be several."""
        return self._laid_out(_trees_of(features, self._parts))

    def _laid_out(self, trees: Sequence[_Tree]) -> dict[str, torch.Tensor]:
        batch = {
            "input_ids": torch.tensor([[token for tree in trees for piece in tree.pieces for token in piece.tokens]]),
            "labels": torch.tensor([[label for tree in trees for label in tree.labels]]),
            "position_ids": torch.cat([positions(tree.pieces) for tree in trees])[None],
            "attention_mask": self._mask([visible(tree.pieces) for tree in trees]),
        }
        if not self._additive:
            batch["tree"] = torch.cat([outline(tree.pieces) for tree in trees])
        if len(trees) > 1:
            batch["trees"] = torch.tensor([(len(tree.labels), len(tree.pieces)) for tree in trees])
        return batch

    def _mask(self, seen: Sequence[torch.Tensor]) -> torch.Tensor:
        visible_there = torch.block_diag(*seen).bool()[None, None]  # type: ignore[no-untyped-call]
        if not self._additive:
            return visible_there
        return torch.zeros(visible_there.shape).masked_fill(~visible_there, torch.finfo(torch.float32).min)


def _trees_of(features: Sequence[Mapping[str, Any]], parts: int) -> list[_Tree]:
    sizes = [len(feature["input_ids"]) for feature in features]
    return [_Tree.of(part) for part in evenly(features, sizes, parts)]

"""Rows laid out as a tree: what several have in common runs once, and a token sees the beginnings of its own row alone.

The rows of one update share much: all of them a system prompt, the samples of a group their whole prompt. Laid out as
one sequence, each such beginning stands once. Attention that follows the tree, and positions that go on from the
beginning, give each row what it has alone: "tree attention" of SpecInfer (arXiv 2305.09781), here in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from skillpm.train.hf.batch import common_prefix


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that stand side by side: a beginning that rows share, or what a row has alone.

    Attributes:
        tokens: their ids.
        start: the position of the first one in its rows.
        before: the numbers of the pieces that stand before it in its rows.
    """

    tokens: Sequence[int]
    start: int
    before: tuple[int, ...]


def prefix_tree(rows: Sequence[Sequence[int]], shareable: Sequence[int]) -> list[Piece]:
    """Split rows into the beginnings that some share and, in the order of the rows, what each has alone.

    Args:
        rows: token ids; each row has more tokens than may be shared.
        shareable: how many leading tokens of each row may be shared.

    Returns:
        The shared pieces, each after those before it, and then one piece of each row.
    """
    shared: list[Piece] = []
    ends: list[Piece | None] = [None] * len(rows)
    waiting: list[tuple[list[int], int, tuple[int, ...]]] = [(list(range(len(rows))), 0, ())]
    while waiting:
        members, start, before = waiting.pop()
        if len(members) > 1:
            common = common_prefix([rows[row][start : shareable[row] + 1] for row in members])
            if common:
                shared.append(Piece(rows[members[0]][start : start + common], start, before))
                before = (*before, len(shared) - 1)
                start += common
        branches: dict[int, list[int]] = {}
        for row in members:
            if len(members) == 1 or shareable[row] == start:
                ends[row] = Piece(rows[row][start:], start, before)
            else:
                branches.setdefault(rows[row][start], []).append(row)
        waiting += [(branch, start, before) for branch in branches.values()]
    return [*shared, *(piece for piece in ends if piece is not None)]


def visible(pieces: Sequence[Piece]) -> torch.Tensor:
    """May the token of a row of this matrix see the token of a column? Shape (length, length), boolean."""
    seen = torch.eye(len(pieces), dtype=torch.bool)
    for number, piece in enumerate(pieces):
        seen[number, list(piece.before)] = True
    lengths = torch.tensor([len(piece.tokens) for piece in pieces])
    owner = torch.arange(len(pieces)).repeat_interleave(lengths)
    at = positions(pieces)
    # Within a piece places and positions grow together, and what stands before it has lower ones: so positions give
    # the causal order.
    return seen[owner][:, owner] & (at[None, :] <= at[:, None])


def positions(pieces: Sequence[Piece]) -> torch.Tensor:
    """Return the positions of all tokens, shape (length,): those that a row has alone, so its embeddings are too."""
    return torch.cat([torch.arange(piece.start, piece.start + len(piece.tokens)) for piece in pieces])

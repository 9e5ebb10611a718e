"""Batches in which rows of one skill share their common beginning.

Most tokens of a short tool call are its system prompt, the same in every row of a skill. A batch is laid out as one
sequence: the shared beginning once, then what is each row's own. The attention mask lets a row see the beginning and
itself, positions go on from the beginning, so logits and gradients are those of separate rows at about half the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from skillpm.train.hf.decode import common_prefix

__all__ = ["IGNORED", "PrefixPacking", "encode_rows"]

IGNORED = -100  # the label of a token that is not learned


def encode_rows(rows: Sequence[tuple[str, list[int], list[int]]], end: int, max_length: int) -> list[dict[str, Any]]:
    """Turn ``(skill, prompt tokens, answer tokens)`` into features; rows longer than ``max_length`` are left out.

    Returns:
        ``input_ids``, ``answer`` (where the answer begins), ``group`` (the skill) and ``shared`` (leading tokens that
        all rows of the skill have in common).
    """
    kept = [(skill, prompt, answer) for skill, prompt, answer in rows if len(prompt) + len(answer) < max_length]
    prompts: dict[str, list[list[int]]] = {}
    for skill, prompt, _ in kept:
        prompts.setdefault(skill, []).append(prompt)
    shared = {skill: common_prefix(members) if len(members) > 1 else 0 for skill, members in prompts.items()}
    return [
        {"input_ids": [*prompt, *answer, end], "answer": len(prompt), "group": skill, "shared": shared[skill]}
        for skill, prompt, answer in kept
    ]


class PrefixPacking:
    """Collates features of ``encode_rows`` into one sequence, shapes (1, length), and a mask (1, 1, length, length)."""

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Lay a batch out."""
        ids: list[int] = []
        labels: list[int] = []
        positions: list[int] = []
        groups: list[int] = []
        members: list[int] = []  # 0 for a shared beginning, else the number of the row
        names = sorted({str(feature["group"]) for feature in features})
        for group, name in enumerate(names):
            rows = [feature for feature in features if feature["group"] == name]
            shared = int(rows[0]["shared"])
            pieces = [(0, list(rows[0]["input_ids"][:shared]), 0, shared)]
            pieces += [(n, list(row["input_ids"][shared:]), shared, row["answer"]) for n, row in enumerate(rows, 1)]
            for member, tokens, start, answer in pieces:
                ids += tokens
                positions += range(start, start + len(tokens))
                labels += [token if start + i >= answer else IGNORED for i, token in enumerate(tokens)]
                groups += [group] * len(tokens)
                members += [member] * len(tokens)
        return {
            "input_ids": torch.tensor([ids]),
            "labels": torch.tensor([labels]),
            "position_ids": torch.tensor([positions]),
            "attention_mask": _mask(torch.tensor(groups), torch.tensor(members), torch.tensor(positions))[None, None],
        }


def _mask(groups: torch.Tensor, members: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """May the token of a row of this matrix see the token of a column? Shape (length, length), boolean."""
    same_group = groups[:, None] == groups[None, :]
    own_or_shared = (members[:, None] == members[None, :]) | (members[None, :] == 0)
    return same_group & own_or_shared & (positions[None, :] <= positions[:, None])

"""Attention along a tree of rows is that of the whole matrix, with no product of what cannot be seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from skillpm.train.hf.prefix_tree import prefix_tree, visible
from skillpm.train.hf.tree_attention import _attend, outline

ROWS = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 9, 8, 7], [1, 2, 8], [5, 6, 7, 8], [1, 2, 3, 4, 5, 5]]
SHARED = [5, 5, 2, 3, 5]


@pytest.mark.parametrize("groups", [1, 2, 4], ids=lambda groups: f"{groups} of 4 heads have keys")
def test_the_output_and_its_gradients_are_those_of_the_masked_matrix(groups: int) -> None:
    pieces = prefix_tree(ROWS, SHARED)
    length, module = sum(len(piece.tokens) for piece in pieces), SimpleNamespace(num_key_value_groups=4 // groups)
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, length, 8, requires_grad=True) for heads in (4, groups, groups))
    weights, results = torch.randn(1, length, 4, 8), []
    for tree in (None, outline(pieces)):
        output, _ = _attend(module, query, key, value, visible(pieces)[None, None], scaling=0.3, tree=tree)
        results.append([output, *torch.autograd.grad((output * weights).sum(), (query, key, value))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_a_piece_is_multiplied_with_itself_and_what_stands_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[int] = []
    whole = functional.scaled_dot_product_attention

    def counted(query: torch.Tensor, key: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        products.append(query.shape[2] * key.shape[2])
        return whole(query, key, *rest, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    pieces = prefix_tree(ROWS, SHARED)
    states = torch.randn(1, 2, sum(len(piece.tokens) for piece in pieces), 8)
    _attend(None, states, states, states, None, tree=outline(pieces))
    assert products == [len(piece.tokens) * (piece.start + len(piece.tokens)) for piece in pieces]


def test_bfloat16_is_multiplied_in_float32_where_a_gradient_is_wanted() -> None:
    pieces = prefix_tree(ROWS, SHARED)
    length, module = sum(len(piece.tokens) for piece in pieces), SimpleNamespace(num_key_value_groups=2)
    torch.manual_seed(0)
    asked = [torch.randn(1, heads, length, 8, dtype=torch.bfloat16, requires_grad=True) for heads in (4, 2, 2)]
    exact = [part.detach().float().requires_grad_() for part in asked]
    weights, mask = torch.randn(1, length, 4, 8), visible(pieces)[None, None]
    for tree in (None, outline(pieces)):
        expected, _ = _attend(module, exact[0], exact[1], exact[2], mask, tree=tree)
        found, _ = _attend(module, asked[0], asked[1], asked[2], mask, tree=tree)
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, expected.to(torch.bfloat16))
        gradients = torch.autograd.grad((found * weights.to(torch.bfloat16)).sum(), asked)
        wanted = torch.autograd.grad((expected * weights.to(torch.bfloat16)).sum(), exact)
        for one, other in zip(gradients, wanted, strict=True):
            assert torch.equal(one, other.to(torch.bfloat16))

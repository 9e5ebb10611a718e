"""Parts of a pass that run side by side give what the whole pass gives, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from skillpm.train.hf import batch as batches
from skillpm.train.hf.batch import DividedBatch, Way, open_batch
from skillpm.train.hf.capability import decoding_way, packing_way
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.packing import PrefixPacking, answer_loss, encode_rows
from skillpm.train.hf.side_by_side import evenly, most_learning_parts, together
from skillpm.train.hf.tuned import tuned
from skillpm.train.recipe import Recipe
from tests.train.hf.test_decode import prompts
from tests.train.hf.test_packing import rows

CORES = 3
_here = ContextVar("here", default=0)


@pytest.fixture
def cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def adapted(loaded: Any) -> Any:
    """The tiny model with an adapter that says something."""
    recipe = Recipe.model_validate(
        {"recipe": 1, "model": "tiny", "lora": {"rank": 1}, "stages": [{"kind": "sft", "name": "sft"}]}
    )
    model = tuned(loaded, recipe, None)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return model


def gradients(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    loss = answer_loss(model, batch).total
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


@given(some.lists(some.integers(1, 100), min_size=1, max_size=30), some.integers(1, 8))
def test_items_are_divided_in_their_order_into_parts_of_like_size(sizes: list[int], most: int) -> None:
    parts = evenly(list(enumerate(sizes)), sizes, most)
    assert [item for part in parts for item in part] == list(enumerate(sizes))
    assert 1 <= len(parts) <= most and all(parts)
    assert max(sum(size for _, size in part) for part in parts) <= sum(sizes) / most + max(sizes)


def test_a_part_has_the_modes_and_contexts_of_its_caller(cores: None) -> None:
    _here.set(7)

    def modes(part: int) -> tuple[int, int, bool, bool]:
        return part, _here.get(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert together(modes, [0, 1]) == [(0, 7, True, False), (1, 7, True, False)]
    with torch.inference_mode():
        assert together(modes, [0, 1]) == [(0, 7, False, True), (1, 7, False, True)]
    with pytest.raises(ZeroDivisionError):
        together(lambda part: 1 / part, [1, 0])


def test_threads_share_the_cores_and_the_caller_keeps_them_all(cores: None) -> None:
    assert together(lambda part: torch.get_num_threads(), [0]) == [CORES]
    assert together(lambda part: torch.get_num_threads(), [0, 1]) == [1, 1]
    assert torch.get_num_threads() == CORES
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == CORES


@pytest.mark.parametrize("additive", [False, True])
def test_trees_side_by_side_have_the_loss_and_gradients_of_one_tree(adapted: Any, cores: None, additive: bool) -> None:
    """In several trees what rows share stands more than once, and what is learned is the same."""
    features = encode_rows(rows(), 512)
    whole = PrefixPacking(additive=additive)(features)
    divided = PrefixPacking(additive=additive, parts=CORES)(features)

    assert "trees" not in whole and len(divided["trees"]) == CORES
    assert divided["trees"][:, 0].sum() == divided["input_ids"].shape[1] > whole["input_ids"].shape[1]
    expected_loss, expected = gradients(adapted, whole)
    loss, found = gradients(adapted, divided)
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert any(gradient.abs().max() > 1e-3 for gradient in expected)


def test_gradients_of_parts_are_the_same_bytes_each_time(adapted: Any, cores: None) -> None:
    batch = PrefixPacking(parts=CORES)(encode_rows(rows(), 512))
    first, *others = [gradients(adapted, batch) for _ in range(8)]
    assert all(torch.equal(first[0], loss) for loss, _ in others)
    assert all(all(map(torch.equal, first[1], found)) for _, found in others)


@pytest.mark.parametrize(("shared", "own", "trees"), [(200, 1, 1), (100, 40, 4), (10, 40, 16)])
def test_what_rows_share_is_not_copied_for_more_than_its_worth(shared: int, own: int, trees: int) -> None:
    """A copy of a long beginning costs more than one more core brings, and takes memory."""
    made = [("a", [2] * shared + [3 + number] * own, [9, 1]) for number in range(16)]
    batch = PrefixPacking(parts=16)(encode_rows(made, 512))
    assert len(batch.get("trees", [()])) == trees
    assert len(PrefixPacking(parts=16).divided(encode_rows(made, 512))["trees"]) == 16


def test_only_what_learns_little_and_draws_nothing_is_divided(adapted: Any, tiny_model: Any, cores: None) -> None:
    from skillpm.train.hf.model import load_model

    assert most_learning_parts(adapted) == CORES
    assert most_learning_parts(load_model(tiny_model, "float32")) == 1  # all weights: a gradient of them for each part
    adapted.add_module("drop", torch.nn.Dropout(0.1))
    assert most_learning_parts(adapted) == 1


def test_a_model_that_threads_cannot_share_is_asked_by_one(
    adapted: Any, cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that remembers something between its own steps takes it from another row; the trial shows that."""
    import threading

    model, owner = adapted.get_base_model(), threading.get_ident()
    forward = type(model).forward

    def confused(self: Any, *arguments: Any, **options: Any) -> Any:
        found = forward(self, *arguments, **options)
        if threading.get_ident() != owner:
            found.logits = found.logits * 0.5
        return found

    monkeypatch.setattr(type(model), "forward", confused)
    features = encode_rows(rows(), 512)
    way = packing_way(adapted, features, 0)
    assert isinstance(way, PrefixPacking) and "trees" not in way.divided(features)
    assert decoding_way(model.eval(), prompts(4, 12), 0, 4) is Way.SHARED


def test_answers_of_rows_that_are_decoded_in_parts_are_those_of_one_batch(
    loaded: Any, cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With rows that leave one part before the other, and prompts that share nothing."""
    for shared in (30, 0):
        asked = prompts(24, shared)
        assert decoding_way(loaded, asked, 0, 30) is Way.DIVIDED
        assert isinstance(open_batch(loaded, asked, 1, 0, Way.DIVIDED), DividedBatch)
        sampling = Sampling(30, frozenset({11, 12, 13, 14}), 0, batch_size=24, samples=2, temperature=0.7)
        for one in (sampling, replace(sampling, samples=1, temperature=0.0)):
            divided = {(answer.prompt, answer.sample): answer.tokens for answer in decode(loaded, asked, one)}
            with monkeypatch.context() as patched:
                patched.setattr(batches, "_FEWEST", 10**6)
                whole = {(answer.prompt, answer.sample): answer.tokens for answer in decode(loaded, asked, one)}
            assert divided == whole
            assert len({len(tokens) for tokens in whole.values()}) > 3

"""Rows packed behind their shared beginning are trained as if they stood alone."""

from __future__ import annotations

import random
from typing import Any

import torch

from skillpm.train.hf.packing import GroupedOrder, PrefixPacking, SeparateRows, answer_loss, encode_rows

END = 1


def rows(seed: int = 0) -> list[tuple[str, list[int], list[int]]]:
    chance = random.Random(seed)
    made = []
    for skill in ("a", "b"):
        start = [chance.randrange(10, 250) for _ in range(chance.randint(5, 12))]
        for _ in range(4):
            prompt = start + [chance.randrange(10, 250) for _ in range(chance.randint(2, 9))]
            made.append((skill, prompt, [*(chance.randrange(10, 250) for _ in range(chance.randint(1, 9))), END]))
    return made


def loss(model: Any, batch: dict[str, Any]) -> Any:
    logits = model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
    ).logits
    return torch.nn.functional.cross_entropy(logits[0, :-1], batch["labels"][0, 1:], ignore_index=-100, reduction="sum")


def test_loss_and_gradients_are_those_of_separate_rows(loaded: Any) -> None:
    """The mask lets a row see its beginning and itself, at the positions that it would have alone."""
    features = encode_rows(rows(), 512)
    packed = loss(loaded, PrefixPacking()(features))
    packed.backward()
    gradients = {name: p.grad.clone() for name, p in loaded.named_parameters() if p.grad is not None}
    loaded.zero_grad()

    separate = sum(
        torch.nn.functional.cross_entropy(
            loaded(torch.tensor([f["input_ids"]])).logits[0, f["answer"] - 1 : -1],
            torch.tensor(f["input_ids"][f["answer"] :]),
            reduction="sum",
        )
        for f in features
    )
    assert isinstance(separate, torch.Tensor)
    separate.backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(packed, separate, rtol=1e-4, atol=1e-4)
    for name, parameter in loaded.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-3)


def test_each_shared_beginning_stands_once() -> None:
    """The system prompt of all rows, the prompt of a group, and then what is each row's own."""
    system, one, other = [2, 3, 4, 5], [6, 7, 8], [9, 7, 8]
    made = [("a", system + request, [answer, END]) for request in (one, other) for answer in (20, 21, 22)]
    batch = PrefixPacking()(encode_rows(made, 512))

    shared = [*system, *other[:-1], *one[:-1]]  # the last token of a prompt stands before each of its answers
    assert batch["input_ids"][0].tolist() == [*shared, *(token for a in (20, 21, 22) * 2 for token in (8, a, END))]
    assert batch["position_ids"][0, -3:].tolist() == [6, 7, 8]


def test_only_answers_are_learned() -> None:
    """The labels are the answers with their end, nothing of the prompts."""
    made = rows()
    labels = PrefixPacking()(encode_rows(made, 512))["labels"]

    assert labels[labels != -100].tolist() == [token for _, _, answer in made for token in answer]


def test_separate_rows_have_the_same_loss(loaded: Any) -> None:
    """Padding on the right, where no token looks, changes nothing; and only answers are learned."""
    features = encode_rows(rows(), 512)

    packed = answer_loss(loaded, PrefixPacking()(features))
    padded = answer_loss(loaded, SeparateRows(0)(features))

    assert (packed.count, packed.hits) == (padded.count, padded.hits)
    torch.testing.assert_close(packed.total, padded.total, rtol=1e-5, atol=1e-5)


def test_a_row_that_is_too_long_is_left_out() -> None:
    """Cutting an answer would teach half of it."""
    made = [("a", [5] * 10, [6] * 5), ("a", [5] * 100, [6] * 5)]

    assert len(encode_rows(made, 50)) == 1


def test_every_row_is_visited_once_in_batches_of_one_group() -> None:
    groups = ["a"] * 10 + ["b"] * 7
    order = GroupedOrder(groups, 4, seed=0)
    first, second = list(order), list(order)

    assert sorted(first) == sorted(second) == list(range(len(order)))
    assert first != second
    assert list(GroupedOrder(groups, 4, seed=0)) == first
    batches = [{groups[row] for row in first[start : start + 4]} for start in range(0, 12, 4)]
    assert sorted(map(sorted, batches)) == [["a"], ["a"], ["b"]]

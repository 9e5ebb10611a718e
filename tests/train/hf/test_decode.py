"""Our decoding loop against transformers' own generate."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import torch

from skillpm.train.hf.batch import common_prefix
from skillpm.train.hf.decode import Sampling, decode, joined, like_prompts


def prompts(count: int, shared: int, seed: int = 0) -> list[list[int]]:
    chance = random.Random(seed)
    start = [chance.randrange(10, 250) for _ in range(shared)]
    return [start + [chance.randrange(10, 250) for _ in range(chance.randint(1, 20))] for _ in range(count)]


def generated(model: Any, prompt: list[int], stop: int, length: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=length,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=stop,
    )
    answer: list[int] = out[0, len(prompt) :].tolist()
    return answer


def test_rows_whose_own_part_is_long_are_those_of_generate(loaded: Any) -> None:
    """Beyond some length the shared part is run in each row, by the model's own attention, and nothing else changes."""
    asked = [prompt + prompts(1, 290, seed)[0] for seed, prompt in enumerate(prompts(3, 40))]
    assert common_prefix(asked) >= 40
    sampling = Sampling(6, frozenset({-1}), 0)
    found = {answer.prompt: answer.tokens for answer in decode(loaded, asked, sampling)}
    assert [found[number] for number in range(3)] == [generated(loaded, prompt, -1, 6) for prompt in asked]


@pytest.mark.parametrize(("count", "shared", "batch"), [(1, 5, 4), (9, 12, 4), (9, 0, 16), (16, 30, 16)])
def test_greedy_answers_are_those_of_generate(loaded: Any, count: int, shared: int, batch: int) -> None:
    """Shared prefixes, padding, rows that leave early and buffers that grow change no token."""
    asked = prompts(count, shared)
    first = generated(loaded, asked[0], -1, 40)
    stop = first[7]
    sampling = Sampling(40, frozenset({stop}), 0, batch_size=batch)

    found = {answer.prompt: answer for answer in decode(loaded, asked, sampling)}

    assert sorted(found) == list(range(count))
    for number, prompt in enumerate(asked):
        expected = generated(loaded, prompt, stop, 40)
        assert found[number].tokens == expected
        assert found[number].stopped == (expected[-1] == stop)


def test_the_confidence_of_an_answer_is_that_of_its_least_likely_token(loaded: Any) -> None:
    """As the model itself gives it for the whole sequence, however many answers are decoded beside it."""
    asked = prompts(6, 30)
    for answer in decode(loaded, asked, Sampling(5, frozenset({-1}), 0, batch_size=4, confidence=True)):
        ids = torch.tensor([asked[answer.prompt] + answer.tokens])
        with torch.inference_mode():
            likely = loaded(ids).logits[0].float().softmax(-1)[-6:-1].gather(-1, ids[0, -5:, None])
        assert answer.confidence == pytest.approx(likely.min().item(), rel=1e-3)


def test_an_unwanted_answer_is_cut_or_left_out_and_changes_no_other(loaded: Any) -> None:
    """Prompt 0 is never wanted, 1 no longer after some tokens; the second batch holds both kinds, too."""
    asked = prompts(6, 12)
    left = {0: 0, 1: 3, 5: 2}

    def unwanted(prompt: int) -> bool:
        left[prompt] = left.get(prompt, 1000) - 1
        return left[prompt] < 0

    sampling = Sampling(20, frozenset({-1}), 0, batch_size=4, unwanted=unwanted)
    found = {answer.prompt: answer.tokens for answer in decode(loaded, asked, sampling)}
    assert sorted(found) == [1, 2, 3, 4, 5] and (len(found[1]), len(found[5])) == (3, 2)
    assert [found[number] for number in (2, 3, 4)] == [generated(loaded, asked[number], -1, 20) for number in (2, 3, 4)]


def test_samples_follow_the_distribution(loaded: Any) -> None:
    """The first sampled tokens of many samples are spread as the model's probabilities say."""
    prompt = prompts(1, 8)[0]
    sampling = Sampling(1, frozenset(), 0, temperature=1.0, samples=4000, batch_size=4000, seed=3)

    counts = Counter(answer.tokens[0] for answer in decode(loaded, [prompt], sampling))

    with torch.inference_mode():
        probabilities = loaded(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    token = int(probabilities.argmax())
    expected = float(probabilities[token])
    deviation = (expected * (1 - expected) / 4000) ** 0.5
    assert abs(counts[token] / 4000 - expected) < 5 * deviation


def test_sampling_is_reproducible(loaded: Any) -> None:
    """One seed, one set of answers; another seed, others."""

    def run(seed: int) -> list[tuple[int, int, tuple[int, ...]]]:
        sampling = Sampling(8, frozenset(), 0, temperature=1.0, samples=3, batch_size=6, seed=seed)
        return sorted((a.prompt, a.sample, tuple(a.tokens)) for a in decode(loaded, prompts(4, 6), sampling))

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert [(prompt, sample) for prompt, sample, _ in run(1)] == [(p, s) for p in range(4) for s in range(3)]


def test_an_answer_does_not_depend_on_its_neighbours(loaded: Any) -> None:
    def run(asked: list[list[int]], batch: int) -> dict[tuple[int, ...], list[int]]:
        sampling = Sampling(8, frozenset(), 0, temperature=1.0, batch_size=batch, seed=5)
        return {tuple(asked[a.prompt]): a.tokens for a in decode(loaded, asked, sampling)}

    every = prompts(6, 4)
    whole = run(every, 6)
    assert run(every, 1) == whole
    assert run(every[3:], 2).items() <= whole.items()


def test_prompts_that_begin_alike_are_decoded_together() -> None:
    """Two system prompts make two groups, whatever the order; prompts that share nothing make one."""
    mixed = [[1, 1, 1, 1, 1, n] for n in range(4)] + [[1, 2, 2, 2, 2, n] for n in range(4)]
    groups = like_prompts(mixed[::2] + mixed[1::2])

    assert sorted(len(group) for group in groups) == [4, 4]
    assert [sorted(group) for group in like_prompts([[1, 5], [2, 6], [3, 7]])] == [[0, 1, 2]]
    assert like_prompts([]) == []


def test_small_groups_are_decoded_together(loaded: Any) -> None:
    """Up to two dozen rows with short prompts, and the answers are those that each prompt has alone."""
    asked = prompts(4, 30) + prompts(3, 44, seed=7)
    groups = like_prompts(asked)
    assert sorted(map(len, groups)) == [3, 4]
    assert sorted(map(sorted, joined(groups, asked, 3))) == [list(range(7))]
    assert joined(groups, asked, 4) == groups, "more than two dozen rows"
    assert joined(groups, [prompt * 9 for prompt in asked], 1) == groups, "long prompts share more than a step costs"

    found = {answer.prompt: answer.tokens for answer in decode(loaded, asked, Sampling(6, frozenset({-1}), 0))}
    assert [found[number] for number in range(7)] == [generated(loaded, prompt, -1, 6) for prompt in asked]


def test_the_common_prefix_leaves_each_prompt_a_token() -> None:
    """A prompt that is the beginning of another still has a last token of its own."""
    assert common_prefix([[1, 2, 3], [1, 2, 3, 4]]) == 2
    assert common_prefix([[1, 2], [2, 2]]) == 0
    assert common_prefix([[7]]) == 0

"""Our decoding loop on an accelerator, against transformers' own generate and the model's own probabilities."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]


def test_greedy_answers_are_those_of_generate(loaded: Any, prompts: list[list[int]]) -> None:
    """The shared prefix, padding, and rows that leave early change no token."""
    import torch

    from skillpm.train.hf.decode import Sampling, decode

    def generated(prompt: list[int], stop: int) -> list[int]:
        ids = torch.tensor([prompt], device=loaded.device)
        ends = {"eos_token_id": stop, "pad_token_id": 0}
        mask = torch.ones_like(ids)
        out = loaded.generate(ids, attention_mask=mask, max_new_tokens=24, do_sample=False, **ends)
        answer: list[int] = out[0, len(prompt) :].tolist()
        return answer

    asked = [*prompts, prompts[0][:-3]]
    stop = generated(asked[0], -1)[7]
    answers = {a.prompt: a for a in decode(loaded, asked, Sampling(24, frozenset({stop}), 0, batch_size=16))}

    assert [answers[number].tokens for number in range(len(asked))] == [generated(prompt, stop) for prompt in asked]


@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_samples_follow_the_distribution(loaded: Any, prompts: list[list[int]], temperature: float) -> None:
    """The likeliest first tokens are sampled as often as the model's probabilities at this temperature say."""
    import torch

    from skillpm.train.hf.decode import Sampling, decode

    count = 2000
    sampling = Sampling(1, frozenset(), 0, temperature=temperature, samples=count, batch_size=count, seed=3)

    counts = Counter(answer.tokens[0] for answer in decode(loaded, prompts[:1], sampling))

    with torch.inference_mode():
        logits = loaded(torch.tensor(prompts[:1], device=loaded.device)).logits[0, -1].float()
    for share, token in zip(*(logits / temperature).softmax(-1).topk(3), strict=True):
        deviation = float(share * (1 - share) / count) ** 0.5
        assert abs(counts[int(token)] / count - float(share)) < 5 * deviation + 1 / count


def test_sampling_is_reproducible(loaded: Any, prompts: list[list[int]]) -> None:
    """One seed, one set of answers; another seed, others."""
    from skillpm.train.hf.decode import Sampling, decode

    def sampled(seed: int) -> list[tuple[int, int, tuple[int, ...]]]:
        sampling = Sampling(8, frozenset(), 0, temperature=1.0, samples=4, batch_size=32, seed=seed)
        return sorted((a.prompt, a.sample, tuple(a.tokens)) for a in decode(loaded, prompts, sampling))

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)

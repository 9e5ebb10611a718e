"""Whatever the architecture, decoding and training give the figures of plain rows: by a fast way, or by a right one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PretrainedConfig

from skillpm.train.hf import capability
from skillpm.train.hf.batch import Way
from skillpm.train.hf.capability import decoding_way, packing_way
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.packed import pack
from skillpm.train.hf.packing import PrefixPacking, SeparateRows, answer_loss, encode_rows
from tests.random_models import ARCHITECTURES, random_architecture

pytestmark = pytest.mark.filterwarnings("default")

# One of each kind: plain, window, eager mask, alibi, places in place of positions, latent keys, convolution, state,
# positions that are stretched where a row is long.
QUICK = (
    "phi3, long",
    "llama",
    "mistral, window",
    "gemma2, no window",
    "bloom",
    "gpt neo",
    "deepseek v3",
    "lfm2",
    "mamba",
)
FAST = {"llama", "qwen2", "qwen3", "mistral", "phi3", "gpt neox", "gpt2", "olmo2", "granite", "smollm3", "glm4"}
DRAWS = {"gpt2"}  # has dropout, so its rows are not divided
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name) for name in ARCHITECTURES]


@pytest.fixture(autouse=True, params=[1])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Torch has one thread, or what the test asks for."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


with_threads = pytest.mark.parametrize("threads", [1, 3], indirect=True)


def some_rows(count: int = 5) -> list[tuple[str, list[int], list[int]]]:
    """Return rows that begin alike and differ in length."""
    chance = random.Random(0)
    start = [chance.randrange(10, 250) for _ in range(12)]

    def tokens(least: int, most: int) -> list[int]:
        return [chance.randrange(10, 250) for _ in range(chance.randint(least, most))]

    return [("skill", start + tokens(1, 9), tokens(3, 9)) for _ in range(count)]


@torch.inference_mode()
def greedy(model: Any, prompt: list[int], length: int) -> list[int]:
    """Return the most likely answer by forward passes over everything: no cache, no padding, no neighbours."""
    ids = torch.tensor([prompt])
    for _ in range(length):
        token = model(input_ids=ids, use_cache=False).logits[:, -1:].argmax(dim=-1)
        ids = torch.cat([ids, token], dim=1)
    return ids[0, len(prompt) :].tolist()


@with_threads
@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_plain_forward_passes(name: str, threads: int) -> None:
    model = random_architecture(name)
    prompts = [prompt for _, prompt, _ in some_rows()]

    answers = {answer.prompt: answer.tokens for answer in decode(model, prompts, Sampling(8, frozenset(), 2))}

    assert [answers[number] for number in range(len(prompts))] == [greedy(model, prompt, 8) for prompt in prompts]
    if name in FAST:
        assert decoding_way(model, prompts, 2, 8) is (Way.SHARED if threads == 1 else Way.DIVIDED)


def gradient(model: Any, batches: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    """Return the gradient of the summed loss of some batches, over all parameters, as one vector."""
    model.zero_grad()
    for batch in batches:
        answer_loss(model, batch).total.backward()  # type: ignore[no-untyped-call]
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


@with_threads
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_a_batch_is_that_of_its_rows(name: str, threads: int) -> None:
    model = random_architecture(name)
    for weight in model.parameters():
        weight.requires_grad_(threads == 1 or weight.ndim == 1)  # rows are divided where little is learned
    features = encode_rows(some_rows(), 512)

    way = packing_way(model, features, 2)

    alone = gradient(model, [SeparateRows(2)([feature]) for feature in features])
    together = gradient(model, [way(features)])
    assert float((alone - together).norm() / alone.norm()) < 1e-4
    if name in FAST:
        assert isinstance(way, PrefixPacking)
        assert ("trees" in way.divided(features)) is (threads > 1 and name not in DRAWS)


def test_rounding_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 it changes gradients of some models more than a wrong mask does."""
    monkeypatch.setattr(capability, "_ROUNDED_GRADIENT", 0.0)
    model, features = random_architecture("llama").to(torch.bfloat16), encode_rows(some_rows(), 512)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}

    assert isinstance(packing_way(model, features, 2), PrefixPacking)
    for name, weight in model.state_dict().items():
        assert weight.dtype == before[name].dtype
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize("is_packed", [False, True])
@torch.inference_mode()
def test_rounding_decides_no_way_to_decode(monkeypatch: pytest.MonkeyPatch, is_packed: bool) -> None:
    """It made a trained model of 135 M weights compute each answer anew at each token, in twenty times the time."""
    monkeypatch.setattr(capability, "_ROUNDED", 0.0)
    with torch.inference_mode(mode=False):
        model = random_architecture("llama").to(torch.bfloat16)
    if is_packed:
        pack(model)
    prompt = torch.arange(5, 40)[None]
    before = model(input_ids=prompt).logits

    assert decoding_way(model, [list(range(5, 40)), [5, 6, 7]], 2, room=8) is Way.SHARED
    assert torch.equal(model(input_ids=prompt).logits, before)
    assert not any(weight.is_inference() for weight in model.parameters()), "it can still be trained"


def test_a_window_is_seen_in_bfloat16() -> None:
    model = random_architecture("mistral, window").to(torch.bfloat16)
    assert decoding_way(model, [list(range(10, 30)), list(range(10, 29))], 2, room=1) is Way.PADDED


@pytest.mark.parametrize("name", ["mistral, window", "mamba"])
def test_a_way_that_is_wrong_is_wrong_in_bfloat16(name: str) -> None:
    model, features = random_architecture(name).to(torch.bfloat16), encode_rows(some_rows(), 512)

    assert isinstance(packing_way(model, features, 2), SeparateRows)


@pytest.mark.parametrize("failure", ["CUDA out of memory. Tried to allocate 2 GiB", "expected bfloat16, got float"])
def test_a_model_that_has_no_room_or_no_layer_for_float32_is_tried_as_it_is(failure: str) -> None:
    model, features = random_architecture("llama").to(torch.bfloat16), encode_rows(some_rows(), 512)

    def refuse(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].dtype == torch.float32:
            raise RuntimeError(failure)

    model.model.layers[0].mlp.register_forward_pre_hook(refuse)

    assert isinstance(packing_way(model, features, 2), PrefixPacking)
    assert model.dtype == torch.bfloat16


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_trial_in_float32_leaves_the_weights_and_their_gradients(
    is_tied: bool, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers may be sampled between two passes of one step, and then the gradient of the first stands."""
    monkeypatch.setattr(capability, "_ROUNDED", 0.0)
    shape = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = LlamaConfig(**shape, num_attention_heads=2, tie_word_embeddings=is_tied)
    model, seen = LlamaForCausalLM(config).to(torch.bfloat16).eval(), set()

    def look(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.add((inputs[0].dtype, model.lm_head.weight is model.model.embed_tokens.weight))
        if fails and inputs[0].dtype == torch.float32:
            raise RuntimeError("no room")

    model.lm_head.register_forward_pre_hook(look)
    model(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()
    before = [(weight, weight.data_ptr(), weight.clone(), weight.grad) for weight in model.parameters()]

    with torch.inference_mode():
        assert (decoding_way(model, [[5, 6, 7, 8], [5, 6]], 2, room=2) is Way.SHARED) is not fails

    assert seen == {(torch.bfloat16, is_tied), (torch.float32, is_tied)}
    for weight, (same, place, value, gradient) in zip(model.parameters(), before, strict=True):
        assert weight is same and weight.data_ptr() == place and torch.equal(weight, value)
        assert weight.grad is gradient and gradient is not None


def test_a_large_model_is_not_put_into_the_memory_of_the_system_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system ends a process that takes too much, and no error tells of it."""
    model, seen = random_architecture("llama").to(torch.bfloat16), set()
    model.register_forward_pre_hook(lambda module, _: seen.add(module.dtype))
    monkeypatch.setattr(capability, "MOST_COPIED", model.num_parameters() - 1)

    packing_way(model, encode_rows(some_rows(), 512), 2)

    assert seen == {torch.bfloat16}


def test_a_trial_takes_the_memory_of_one_gradient() -> None:
    """Of a model that is trained whole, a step's gradient and moments need more."""
    shape = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=300, **shape))
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        packing_way(model, encode_rows(some_rows(), 512), 2)

    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    taken = accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))
    assert weights < max(taken) < 1.6 * weights


def test_a_trial_runs_once_what_prompts_of_a_batch_share() -> None:
    """Long prompts of two skills are never decoded in one batch, so the trial does not pay for both."""
    model, seen = random_architecture("llama"), []
    model.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"].numel()), with_kwargs=True)
    prompts = [[first] * 300 + [7, 8, 9, 5][:own] for first in (20, 30) for own in (1, 2, 4)]

    assert decoding_way(model, prompts, 2, room=8) is Way.SHARED
    assert sum(seen) < 4 * (304 + 8) * 5 / 4


def test_a_window_that_only_longer_rows_cross_is_seen() -> None:
    """What was tried on short rows is tried again when longer ones come."""
    model = random_architecture("mistral, window")
    short, long = [[5, 6, 7], [5, 6, 8]], [list(range(10, 30)), list(range(10, 29))]

    assert decoding_way(model, short, 2, room=1) is Way.SHARED
    assert decoding_way(model, long, 2, room=1) is Way.PADDED
    assert decoding_way(model, short, 2, room=1) is Way.PADDED


def test_prompts_that_are_little_longer_are_not_tried_again() -> None:
    """A server gets a longer one now and then, and a trial takes as long as an answer."""
    model, passes = random_architecture("llama"), []
    model.register_forward_hook(lambda *_: passes.append(1))

    decoding_way(model, [list(range(20))], 2, room=12)
    first = len(passes)
    decoding_way(model, [list(range(28))], 2, room=12)

    assert 0 < first == len(passes)
    decoding_way(model, [list(range(29))], 2, room=12)
    assert len(passes) == 2 * first


def test_a_trial_that_lacks_memory_says_nothing_about_the_model() -> None:
    """It is not taken for a way that the model does not allow."""

    class Full(torch.nn.Module):
        dtype, device, config = torch.float32, torch.device("cpu"), PretrainedConfig()

        def forward(self, **_: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    with pytest.raises(torch.OutOfMemoryError):
        packing_way(Full(), encode_rows(some_rows(), 64), 0)
    with pytest.raises(torch.OutOfMemoryError):
        decoding_way(Full(), [[1, 2, 3]], 0, 4)

"""Parts of a pass that run side by side give what the whole pass gives, and the same each time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from peft import LoraConfig, get_peft_model
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from skillpm.train.hf import batch as batches
from skillpm.train.hf.batch import DividedBatch, Way, open_batch
from skillpm.train.hf.capability import decoding_way, most_learning_parts, packing_way
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.packing import PrefixPacking, answer_loss, encode_rows
from skillpm.train.hf.row_scores import ScoredRows
from skillpm.train.hf.side_by_side import evenly, most_parts, together
from skillpm.train.hf.tuned import tuned
from skillpm.train.recipe import Recipe
from tests.random_models import TINY, random_architecture
from tests.train.hf.test_capability import gradient, some_rows
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


def test_an_error_of_a_part_is_raised_when_all_parts_have_ended(cores: None) -> None:
    """Who catches it changes the model that they run."""
    ended = []

    def run(part: int) -> None:
        time.sleep(part / 10)
        ended.append(1 / part)

    with pytest.raises(ZeroDivisionError):
        together(run, [0, 1, 2])
    assert ended == [1, 0.5]


def test_threads_share_the_cores_and_all_others_keep_them_all(cores: None) -> None:
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

    state, training = torch.get_rng_state(), adapted.training
    assert most_learning_parts(adapted) == CORES
    assert most_learning_parts(load_model(tiny_model, "float32")) == 1  # all weights: a gradient of them for each part
    for module in adapted.modules():
        if hasattr(module, "attention_dropout"):  # by a function, not by a layer
            module.attention_dropout = 0.1
    assert most_learning_parts(adapted) == 1
    assert torch.equal(torch.get_rng_state(), state) and adapted.training is training


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rows_whose_length_changes_the_frequencies_of_others_run_in_one_thread(kind: str, cores: None) -> None:
    half = 8
    scaled = {"rope_type": kind, "rope_theta": 1e4, "factor": 2.0, "original_max_position_embeddings": 256}
    factors = {"long_factor": [2.0] * half, "short_factor": [1.0] * half} if kind == "longrope" else {}
    sizes = {**TINY, "vocab_size": 99}
    assert most_parts(LlamaForCausalLM(LlamaConfig(**sizes))) == CORES
    assert most_parts(LlamaForCausalLM(LlamaConfig(**sizes, rope_parameters={**scaled, **factors}))) == 1


def test_a_model_that_processes_share_is_asked_by_one_thread(loaded: Any, cores: None) -> None:
    """FSDP takes the weights of the pass that has begun first apart where it ends, and others still run."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    try:
        fully_shard(loaded, mesh=init_device_mesh("cpu", (1,)))
        assert most_parts(loaded) == 1
    finally:
        distributed.destroy_process_group()


@pytest.mark.filterwarnings("default")
def test_an_adapter_of_experts_is_asked_by_one_thread(cores: None) -> None:
    """PEFT changes the matrices of experts for each pass, and back after it."""
    model = random_architecture("mixtral")
    assert most_parts(model) == CORES
    assert most_parts(get_peft_model(model, LoraConfig(target_modules="all-linear"))) == 1


@pytest.mark.filterwarnings("default")
def test_trees_of_several_rows_are_tried_however_many_cores_there_are(cores: None) -> None:
    """Divided among as many trees, each row of a trial stands alone, and shows nothing of what a tree breaks."""
    model = get_peft_model(random_architecture("gpt neo"), LoraConfig(r=1, target_modules="all-linear")).eval()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    features = encode_rows(some_rows(6), 512)
    assert most_learning_parts(model) == CORES
    way = packing_way(model, features, 2)
    torch.testing.assert_close(
        gradient(model, [way(features)]),
        gradient(model, [way([feature]) for feature in features]),
        rtol=1e-3,
        atol=1e-3,
    )


def confuse(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
    """Have a kind of module give something else where another thread than this one asks."""
    forward, owner = kind.forward, threading.get_ident()  # type: ignore[attr-defined]

    def confused(self: Any, *arguments: Any, **options: Any) -> Any:
        found = forward(self, *arguments, **options)
        if threading.get_ident() != owner:
            found[name] = found[name] * 0.5
        return found

    monkeypatch.setattr(kind, "forward", confused)


@pytest.mark.parametrize("learned", [8, 1], ids=["rows of a group", "one row"])
def test_a_model_that_threads_cannot_share_is_asked_by_one(
    adapted: Any, cores: None, monkeypatch: pytest.MonkeyPatch, learned: int
) -> None:
    """A layer that remembers something between its own steps takes it from another row; the trial shows that."""
    model = adapted.get_base_model()
    confuse(monkeypatch, type(model), "logits")
    features = encode_rows(rows(), 512)
    way = packing_way(adapted, features[:learned], 0)
    assert isinstance(way, PrefixPacking) and "trees" not in way.divided(features)
    assert decoding_way(model.eval(), prompts(4, 12), 0, 4) is Way.SHARED


def test_scores_of_an_update_are_tried_in_threads_whatever_its_first_rows_share(
    adapted: Any, cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted.get_base_model()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    confuse(monkeypatch, type(model.model), "last_hidden_state")
    scored = ScoredRows()
    scored.accelerator, scored.temperature = SimpleNamespace(unwrap_model=lambda model: model), 1.0  # type: ignore[attr-defined]
    ids = torch.randint(10, 250, (6, 60), generator=torch.Generator().manual_seed(0))
    alike, mask = torch.cat([ids[:1, :56].expand(6, 56), ids[:, 56:]], dim=1), torch.ones_like(ids)

    way = scored._fastest(adapted, alike, mask, 4)

    for batch in (alike, ids):
        expected, _ = scored._one_by_one(adapted, batch, mask, 4)
        torch.testing.assert_close(way(adapted, batch, mask, 4)[0], expected, rtol=1e-3, atol=1e-3)
    assert not scored.alone


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

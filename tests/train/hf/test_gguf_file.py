"""GGUF files that are read again say what the model says; what the format cannot hold is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from transformers import ByT5Tokenizer, Qwen2Tokenizer

from skillpm.errors import TrainingError, UsageError
from skillpm.train.hf import gguf_file
from skillpm.train.hf.merge import export_gguf
from skillpm.train.hf.stages import open_model
from skillpm.train.hf.tuned import save_weights
from skillpm.train.processes import Job
from tests.random_models import TINY, random_architecture, random_tokenizer, save_random_model
from tests.train.hf.test_stages import plan_of
from tests.train.hf.test_stages_kinds import first

pytestmark = pytest.mark.filterwarnings("default")


def saved(folder: Path, name: str, change: Any = None) -> Path:
    model, tokenizer = random_architecture(name), random_tokenizer()
    model.resize_token_embeddings(len(tokenizer) + 3, mean_resizing=False)  # as models whose sizes are round numbers
    if change is not None:
        change(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def as_qwen(model: Any, tokenizer: Any) -> None:
    tokenizer.backend_tokenizer.pre_tokenizer = Qwen2Tokenizer().backend_tokenizer.pre_tokenizer


@pytest.mark.parametrize(
    "name", ["llama, tied", *(pytest.param(n, marks=pytest.mark.slow) for n in ("qwen2", "qwen3", "mistral"))]
)
def test_each_family_is_written_and_says_the_same(tmp_path: Path, name: str) -> None:
    words, change = ("qwen2", as_qwen) if "qwen" in name else ("gpt-2", None)
    export_gguf(saved(tmp_path / "model", name, change), None, tmp_path / "file.gguf", "a name", "f32")
    fields = GGUFReader(tmp_path / "file.gguf").fields
    assert fields["general.name"].contents() == "a name"
    assert "<|im_start|>" in fields["tokenizer.chat_template"].contents()
    assert fields["tokenizer.ggml.pre"].contents() == words


def test_a_head_is_written_where_it_is_a_matrix_of_its_own(tmp_path: Path) -> None:
    """Whatever config.json says of it: transformers goes by the weights."""

    def claim(model: Any, tokenizer: Any) -> None:
        model.config.tie_word_embeddings = True

    export_gguf(saved(tmp_path / "model", "llama", claim), None, tmp_path / "file.gguf", "m", "f32")


def test_the_token_that_ends_a_turn_is_named(tmp_path: Path) -> None:
    """A program that knows the tokenizer's end alone would write on behind an answer."""

    def own_end(model: Any, tokenizer: Any) -> None:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<turn>"]})
        tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>", "<turn>")

    export_gguf(saved(tmp_path / "model", "llama", own_end), None, tmp_path / "file.gguf", "m", "f32")
    fields = GGUFReader(tmp_path / "file.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    named = [tokens[fields[f"tokenizer.ggml.{name}_token_id"].contents()] for name in ("eos", "eot")]
    assert named == ["<|im_end|>", "<turn>"]


@pytest.mark.slow
@pytest.mark.parametrize("file_type", ["f16", "bf16", "q8_0"])
def test_weights_can_take_less(tmp_path: Path, file_type: str) -> None:
    model = save_random_model(tmp_path / "model", TINY, gain=1)
    export_gguf(model, None, tmp_path / "file.gguf", "tiny", file_type)
    whole = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    assert (tmp_path / "file.gguf").stat().st_size < 0.6 * whole


@pytest.mark.slow
def test_an_adapter_is_merged_in(tiny_model: Path, tmp_path: Path) -> None:
    recipe = plan_of(first()).recipe
    model = open_model(Job(recipe, tiny_model)).model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    save_weights(model, tmp_path / "adapter", recipe)
    export_gguf(tiny_model, tmp_path / "adapter", tmp_path / "tuned.gguf", "tuned", "f32")
    export_gguf(tiny_model, None, tmp_path / "plain.gguf", "plain", "f32")
    tuned, plain = (GGUFReader(tmp_path / f"{name}.gguf").tensors for name in ("tuned", "plain"))
    moved = {one.name for one, other in zip(tuned, plain, strict=True) if (one.data != other.data).any()}
    assert "blk.0.attn_q.weight" in moved and "token_embd.weight" not in moved


def scaled(model: Any, tokenizer: Any) -> None:
    model.config.rope_parameters = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}


def lower_case(model: Any, tokenizer: Any) -> None:
    from tokenizers import normalizers

    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()


def odd_words(model: Any, tokenizer: Any) -> None:
    from tokenizers import pre_tokenizers

    parts = [pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("gemma", None, "the family gemma is not one of llama, mistral, qwen2, qwen3"),
        ("qwen2, window", None, "its attention has a window"),
        ("mistral, window", None, "its attention has a window"),
        ("llama", scaled, r"its positions are scaled \(linear\)"),
        ("llama", lower_case, "its tokenizer changes texts before it cuts them"),
        ("llama", odd_words, "its tokenizer cuts texts in a way that has no name in GGUF"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path: Path, name: str, change: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be written as GGUF: {reason}"):
        export_gguf(saved(tmp_path / "model", name, change), None, tmp_path / "file.gguf", "m", "f32")


def test_a_tokenizer_that_is_no_table_is_refused(tmp_path: Path) -> None:
    tokenizer = ByT5Tokenizer()
    tokenizer.chat_template = random_tokenizer().chat_template
    model = random_architecture("llama")
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(UsageError, match="cannot be written as GGUF: its tokenizer is a program of its own"):
        export_gguf(tmp_path / "model", None, tmp_path / "file.gguf", "m", "f32")


def test_a_token_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    def more(model: Any, tokenizer: Any) -> None:
        tokenizer.add_tokens([f"word{number}" for number in range(9)])

    with pytest.raises(UsageError, match="the tokenizer writes token"):
        export_gguf(saved(tmp_path / "model", "llama", more), None, tmp_path / "file.gguf", "m", "f32")


@pytest.mark.slow
def test_a_file_that_answers_otherwise_is_an_error(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_file, "_interleaved", lambda value, heads: value)
    with pytest.raises(TrainingError, match="the GGUF file answers differently from the model"):
        export_gguf(tiny_model, None, tmp_path / "file.gguf", "m", "f32")

"""What a model's folder holds, and what lies outside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillpm.errors import UsageError
from skillpm.train.model_files import model_digest

WEIGHTS: list[tuple[str, bool]] = [
    ("model-1.safetensors", True),
    ("link.safetensors", True),  # what it leads to is read
    ("../away.safetensors", False),
    ("/tmp/away.safetensors", False),
    ("below/model-1.safetensors", False),
    ("model-1.dat", False),
    ("..", False),
]


@pytest.mark.parametrize("named_by", ["model.safetensors.index.json", "pytorch_model.bin.index.json", "config.json"])
@pytest.mark.parametrize(("name", "covered"), WEIGHTS)
def test_weights_that_the_digest_does_not_cover_are_refused(
    tmp_path: Path, name: str, covered: bool, named_by: str
) -> None:
    folder, away = tmp_path / "model", tmp_path / "away.safetensors"
    folder.mkdir()
    away.write_bytes(b"old")
    (folder / "model-1.safetensors").write_bytes(b"old")
    (folder / "link.safetensors").symlink_to(away)
    named = {"transformers_weights": name} if named_by == "config.json" else {"weight_map": {"a": name}}
    (folder / named_by).write_text(json.dumps(named))
    if covered:
        before = model_digest(folder)
        (folder / name).write_bytes(b"new")
        assert model_digest(folder) != before
    else:
        with pytest.raises(UsageError, match=f"{named_by} names the weights `{name}`") as refused:
            model_digest(folder)
        assert refused.value.hint


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "[" * 100_000])
def test_an_index_that_is_none_is_left_to_what_loads_the_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert model_digest(tmp_path)


@pytest.mark.parametrize(
    "name", ["vocab.txt", "merges.txt", "vocab.bpe", "qwen.tiktoken", "spiece.model", "vocab.json"]
)
def test_a_tokenizer_that_reads_words_otherwise_has_another_digest(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a b")
    (tmp_path / "LICENSE.txt").write_text("do as you like")
    before = model_digest(tmp_path)
    (tmp_path / "LICENSE.txt").write_text("do as I say")
    assert model_digest(tmp_path) == before
    (tmp_path / name).write_text("b a")
    assert model_digest(tmp_path) != before


def test_a_hub_id_has_no_digest() -> None:
    assert model_digest("acme/tiny") is None

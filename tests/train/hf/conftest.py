"""A real Llama of two layers with random weights, made in a second."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.random_models import TINY, save_random_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a saved model and tokenizer."""
    return save_random_model(tmp_path_factory.mktemp("tiny") / "model", TINY, gain=4)


@pytest.fixture
def ending_model(tiny_model: Path, tmp_path: Path) -> Path:
    """Return the tiny model, which ends an answer at about every third token that is drawn."""
    import torch

    from skillpm.train.hf.model import load_model

    model = load_model(tiny_model, "float32")
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = torch.randint(0, model.config.vocab_size, (8, 200))
        usual = model.model(drawn).last_hidden_state.flatten(0, 1).mean(dim=0)
        model.lm_head.weight[model.config.eos_token_id] = 2 * usual / usual.norm()
    folder = Path(shutil.copytree(tiny_model, tmp_path / "ending"))
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(tiny_model: Path) -> Any:
    """Return the model, freshly loaded in evaluation mode."""
    from skillpm.train.hf.model import load_model

    return load_model(tiny_model, "float32").eval()

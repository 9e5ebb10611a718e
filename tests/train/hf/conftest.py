"""A real Llama of two layers with random weights, made in a second."""

from __future__ import annotations

import json
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
    """Return the tiny model, any of whose letters ends an answer."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "ending"))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": list(range(40, 140))}))
    return folder


@pytest.fixture
def loaded(tiny_model: Path) -> Any:
    """Return the model, freshly loaded in evaluation mode."""
    from skillpm.train.hf.model import load_model

    return load_model(tiny_model, "float32").eval()

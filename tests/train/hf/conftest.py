"""A real Llama of two layers with random weights, made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.random_models import TINY, save_random_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a saved model and tokenizer."""
    return save_random_model(tmp_path_factory.mktemp("tiny") / "model", TINY, gain=4)


@pytest.fixture
def loaded(tiny_model: Path) -> Any:
    """Return the model, freshly loaded in evaluation mode."""
    from skillpm.train.hf.model import load_model

    return load_model(tiny_model, "float32").eval()

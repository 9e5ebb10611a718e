"""Tests on an accelerator: ``pytest -m gpu``.

``SKILLPM_GPU_TESTS_ON_CPU=MODEL`` runs them on a CPU with that model, to try the tests themselves; ``tiny`` is a Llama
of two layers with random weights.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from skillpm.errors import RegistryError
from tests.random_models import SMOLLM2_135M, TINY, save_random_model

ON_CPU = "SKILLPM_GPU_TESTS_ON_CPU"


@pytest.fixture(autouse=True)
def _environment_is_left_alone() -> Iterator[None]:
    """Put the variables back that libraries set when they find an accelerator."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="session")
def device() -> str:
    """Return where models are loaded; skip the tests where that is no accelerator."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if not os.environ.get(ON_CPU):
        pytest.skip("no accelerator here")
    return "cpu"


@pytest.fixture(scope="session")
def source(device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of smollm2-135m; where it cannot be fetched, random weights of its shape, with a warning."""
    from skillpm.ops.learning.models import ready_model
    from skillpm.settings import load_settings

    folder = tmp_path_factory.mktemp("random") / "model"
    name = os.environ.get(ON_CPU, "smollm2-135m")
    if name == "tiny":
        return save_random_model(folder, TINY, gain=4)
    try:
        return Path(ready_model(name, load_settings()))
    except RegistryError as error:
        warnings.warn(f"random weights of its shape stand in for smollm2-135m: {error}", stacklevel=1)
        return save_random_model(folder, SMOLLM2_135M, gain=1)


@pytest.fixture(scope="module")
def loaded(source: Path) -> Any:
    """Return the model in float32, in evaluation mode."""
    from skillpm.train.hf.model import load_model

    return load_model(source, "float32").eval()


@pytest.fixture(scope="module")
def prompts(source: Path) -> list[list[int]]:
    """Return the tokens of prompts that share their system message."""
    from skillpm.train.hf.model import load_conversation
    from tests.gpu.stages import make_rows

    conversation = load_conversation(source)
    return [conversation.prompt(row.task.prompt) for row in make_rows(8)]

"""Which policy answers: the one place outside ``train.hf`` that reaches a model, by name, inside one function."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import TrainingError
from skillpm.model.ports import Policy
from skillpm.ops.model import ready_model
from skillpm.settings import Settings

__all__ = ["PolicyFactory", "PolicyRequest", "load_policy"]


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """Which policy is wanted.

    Attributes:
        model: a name that skillpm knows, a folder, or a hub id.
        adapter: a folder with a LoRA adapter on top of it, or None.
        batch_size: prompts completed at once.
    """

    model: str
    adapter: Path | None
    batch_size: int


PolicyFactory = Callable[[PolicyRequest, Settings], Policy]


def load_policy(request: PolicyRequest, settings: Settings) -> Policy:
    """Load a model with transformers; a known one is prepared first where that was not done yet.

    Raises:
        TrainingError: torch and its companions are not installed.
        UsageError: the model or the adapter cannot be loaded.
        RegistryError: a known model could not be fetched.
    """
    source = ready_model(request.model, settings)
    try:
        make = importlib.import_module("skillpm.train.hf.policy").TransformersPolicy
    except ImportError as error:
        raise TrainingError(f"no model can be loaded: {error}", hint="pip install 'skillpm-core[train]'") from None
    policy: Policy = make(source, request.adapter, batch_size=request.batch_size)
    return policy

"""Which policy answers: the one place outside ``train.hf`` that reaches a model, by name, inside one function."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import TrainingError
from skillpm.model.ports import Policy, PolicyMaker
from skillpm.ops.extensions import foreign_policy
from skillpm.ops.model import ready_model
from skillpm.runtime.collect import blaming
from skillpm.settings import Settings
from skillpm.train.base_model import locate_model

__all__ = ["PolicyFactory", "PolicyRequest", "find_policy", "load_policy"]


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


def find_policy(model: str, settings: Settings) -> None:
    """See to it that somebody can answer as this model, without loading it.

    Raises:
        UsageError: there is no such model.
        PluginError: two plugins bring policies of one name.
    """
    if foreign_policy(model, settings) is None:
        locate_model(model, settings.models)


def load_policy(request: PolicyRequest, settings: Settings) -> Policy:
    """Load a plugin's policy, or a model with transformers; a known one is prepared first where that was not done yet.

    Raises:
        PluginError: the plugin that was asked for failed.
        TrainingError: torch and its companions are not installed.
        UsageError: the model or the adapter cannot be loaded.
        RegistryError: a known model could not be fetched.
    """
    foreign = foreign_policy(request.model, settings)
    if foreign is not None:
        return _opened(*foreign, request)
    source = ready_model(request.model, settings)
    try:
        make = importlib.import_module("skillpm.train.hf.policy").TransformersPolicy
    except ImportError as error:
        raise TrainingError(f"no model can be loaded: {error}", hint="pip install 'skillpm-core[train]'") from None
    policy: Policy = make(source, request.adapter, batch_size=request.batch_size)
    return policy


def _opened(maker: PolicyMaker, rest: str, request: PolicyRequest) -> Policy:
    with blaming(maker.name, f"policy `{maker.name}`"):
        return maker.open(rest, request.adapter, request.batch_size)

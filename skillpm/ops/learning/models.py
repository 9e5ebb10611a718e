"""Base models: make one ready, list what is known and what is cached."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.agent.endpoint import EndpointPolicy, is_endpoint
from skillpm.agent.recorded import RecordedPolicy, is_recorded, recorded_file
from skillpm.errors import IntegrityError, TrainingError, UsageError
from skillpm.formats.document import Json
from skillpm.model.contract import Tool
from skillpm.model.ports import Policy, PolicyMaker
from skillpm.ops.context import Context
from skillpm.settings import Settings
from skillpm.train.base_model import KNOWN_MODELS, KnownModel, cached_folder, locate_model, prepare_model


def known_models(settings: Settings) -> dict[KnownModel, Path | None]:
    """Return every model that skillpm can prepare itself, with the folder in which it lies prepared, or None."""
    folders = {model: cached_folder(settings.models, model) for model in KNOWN_MODELS.values()}
    return {model: folder if folder.is_dir() else None for model, folder in folders.items()}


def ready_model(text: str, settings: Settings) -> Path | str:
    """Return the folder or hub id of a model; a known one is prepared first where that was not done yet.

    A hub id is looked up on the hub. If the hub cannot be reached, the model must be in the cache.

    Raises:
        UsageError: there is no such model.
        TrainingError: torch and its companions are not installed.
        RegistryError: it could not be fetched.
        IntegrityError: other bytes were fetched than the pinned ones.
        StorageError: the cache cannot be written.
    """
    source = locate_model(text, settings.models)
    if isinstance(source, Path):
        return source
    if source is not None:
        on_hub: Path | str = torch_module("hub", "prepared").find_on_hub(source, offline=settings.offline)
        return on_hub
    return prepare_model(KNOWN_MODELS[text], settings.models, torch_module("model", "prepared").dequantise)


def torch_module(module: str, aim: str) -> Any:
    """Import a module that knows torch. Raises TrainingError where a package of it is missing."""
    try:
        return importlib.import_module(f"skillpm.train.hf.{module}")
    except ImportError as error:
        raise TrainingError(f"no model can be {aim}: {error}", hint="pip install 'skillpm-core[train]'") from None


def check_base(trained: str | None, base: str, digest: object) -> None:
    """Refuse an adapter whose base model has other bytes here.

    Args:
        trained: the digest of the base model that it was trained on; None if that is not known.
        base: the base model as this machine knows it.
        digest: of that; None if it is not known.

    Raises:
        IntegrityError: they are two models.
    """
    here = KNOWN_MODELS[base].sha256 if base in KNOWN_MODELS else digest
    if None not in (trained, here) and trained != here:
        raise IntegrityError(
            f"the adapter was trained on a model with the digest {trained}, {base} has {here}",
            hint="use the base model that it was trained on",
        )


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """Which policy is wanted.

    Attributes:
        model: a name that skillpm knows, a folder, a hub id, or the address of a server.
        adapter: a folder with a LoRA adapter on top of it, or None.
        batch_size: prompts completed at once.
        dtype: of the weights; ``auto`` is what the processor has units for.
        special_tokens: does a completion hold its special tokens, of which some forms of tool calls are made?
        tools: that a server is told of, so that its model may call them natively.
        template: arguments of the chat template; where None, the adapter's, else such as end thinking.
        say: shows what a server is waited for.
    """

    model: str
    adapter: Path | None
    batch_size: int
    dtype: str = "auto"
    special_tokens: bool = False
    tools: tuple[Tool, ...] = ()
    template: Mapping[str, Json] | None = None
    say: Callable[[str], None] = lambda sentence: None


PolicyFactory = Callable[[PolicyRequest, Context], Policy]


def find_policy(context: Context, model: str) -> None:
    """Check that there is such a model, without loading it.

    Raises:
        UsageError: there is no such model.
        PluginError: two plugins bring policies of one name.
    """
    if is_recorded(model):
        recorded_file(model)
    elif not is_endpoint(model) and _brought(context, model) is None:
        locate_model(model, context.settings.models)


def load_policy(request: PolicyRequest, context: Context) -> Policy:
    """Load a plugin's policy, a server's model, a file of answers, or a model with transformers.

    A known model is prepared first.

    Raises:
        PluginError: the plugin that was asked for failed.
        TrainingError: torch and its companions are not installed.
        UsageError: the model or the adapter cannot be loaded, or the address of a server or an option is wrong.
        RegistryError: a known model could not be fetched, or the server failed.
    """
    is_file = is_recorded(request.model)
    if is_file or is_endpoint(request.model):
        if request.adapter is not None or request.dtype != "auto" or request.template is not None:
            reason = "a file of answers has no model to load" if is_file else "a server loads its model itself"
            raise UsageError(reason, hint="remove `--run`, `--dtype` and `--chat-template-kwargs`")
        if is_file:
            return RecordedPolicy(recorded_file(request.model))
        size, offline = request.batch_size, context.settings.offline
        return EndpointPolicy(request.model, batch_size=size, tools=request.tools, offline=offline, say=request.say)
    brought = _brought(context, request.model)
    if brought is not None:
        maker, rest = brought
        if request.dtype != "auto":
            raise UsageError(f"the policy `{maker.name}` chooses its data type itself", hint="remove `--dtype`")
        return maker.open(rest, request.adapter, request.batch_size)
    source = ready_model(request.model, context.settings)
    policy: Policy = torch_module("policy", "loaded").TransformersPolicy(
        source,
        request.adapter,
        dtype=request.dtype,
        batch_size=request.batch_size,
        special_tokens=request.special_tokens,
        template=request.template,
    )
    return policy


def _brought(context: Context, model: str) -> tuple[PolicyMaker, str] | None:
    """Return the plugin's policy that ``NAME:REST`` asks for, and the rest; None where no plugin has that name."""
    name, colon, rest = model.partition(":")
    maker = context.host.policies().get(name) if colon else None
    return None if maker is None else (maker, rest)

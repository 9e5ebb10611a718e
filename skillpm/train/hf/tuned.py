"""What of a model is trained: an adapter or its own weights; how they begin, and how they are saved and loaded."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file

from skillpm.errors import StorageError, UsageError
from skillpm.train.base_model import no_layer, portable_name
from skillpm.train.hf.checkpoint import SAVE_ERRORS
from skillpm.train.hf.lora_linear import quicken
from skillpm.train.hf.memory import lacks_memory, no_memory
from skillpm.train.hf.model import check_adapter, reason_of, with_adapter
from skillpm.train.hf.sharded import is_sharded, own_share, set_shares, whole_state
from skillpm.train.hf.together import place
from skillpm.train.recipe import Recipe
from skillpm.train.template_arguments import TEMPLATE_ARGUMENTS

Weights = Mapping[str, torch.Tensor]

_ADAPTER, _MODEL = "adapter_model.safetensors", "model.safetensors"


def tuned(model: Any, recipe: Recipe, adapter: Path | None = None) -> Any:
    """Make a model ready to be trained: put an adapter onto it, or let its own weights be trained.

    Raises:
        UsageError: the adapter, its target modules or the layers are not this model's.
    """
    layers = _layers(model, recipe)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    if recipe.tune == "full":
        wanted = {id(parameter) for layer in layers for parameter in layer.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(not wanted or id(parameter) in wanted)
        return model
    adapted = _adapted(model, recipe, adapter, layers)
    quicken(adapted)
    if isinstance(adapted.get_base_model().get_output_embeddings(), BaseTunerLayer):
        raise UsageError(
            "the adapter has an update of the model's last matrix, which no stage trains",
            hint="--set lora.target_modules=all-linear",
        )
    return adapted


def _adapted(model: Any, recipe: Recipe, adapter: Path | None, layers: Sequence[Any]) -> PeftModel:
    """Put the adapter to begin from onto a model, or a new one. Raises UsageError where it does not fit."""
    if adapter is not None:
        return with_adapter(model, adapter, recipe.model, trainable=True)
    try:
        adapted = get_peft_model(model, _lora(model, recipe, layers))
        check_adapter(adapted)
    except Exception as error:  # noqa: BLE001  # it raises errors of many kinds
        if lacks_memory(error):
            raise no_memory(f"no adapter can be put onto {recipe.model}", error) from None
        raise UsageError(
            f"no adapter fits {recipe.model}: {reason_of(error)}", hint="--set lora.target_modules=all-linear"
        ) from None
    return adapted


def _lora(model: Any, recipe: Recipe, layers: Sequence[Any]) -> LoraConfig:
    lora, target = recipe.lora, recipe.lora.target_modules
    if layers:
        inner = {id(module) for layer in layers for module in layer.modules() if isinstance(module, torch.nn.Linear)}
        names = [name for name, module in model.named_modules() if id(module) in inner]
        wanted = ("",) if isinstance(target, str) else target
        target = tuple(name for name in names if name.endswith(wanted))
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=target if isinstance(target, str) else list(target),
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        task_type="CAUSAL_LM",
    )


def _layers(model: Any, recipe: Recipe) -> list[Any]:
    """Return the layers that the recipe names. Raises UsageError where the model does not have them."""
    if not recipe.layers:
        return []
    layers = all_layers(model)
    if max(recipe.layers) >= len(layers):
        raise no_layer(max(recipe.layers), recipe.model, len(layers))
    return [layers[number] for number in recipe.layers]


def all_layers(model: Any) -> list[Any]:
    """Return the layers of a model of transformers; none where they do not stand in one list."""
    count = model.config.get_text_config().num_hidden_layers
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    return list(lists[0]) if lists else []


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """Return the weights that are trained, by their names; of a sharded model, what this process has of them."""
    if isinstance(model, PeftModel):
        weights: dict[str, torch.Tensor] = get_peft_model_state_dict(model)
        return weights
    return {name: own_share(weight) for name, weight in model.named_parameters() if weight.requires_grad}


def set_weights(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a model weights that ``trained_weights`` returned."""
    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, dict(weights))
        return
    set_shares(model, weights)


def load_weights(model: Any, folder: Path) -> None:
    """Give a model the weights that were saved in a folder. Raises StorageError."""
    try:
        files = sorted(folder.glob(_ADAPTER if isinstance(model, PeftModel) else "model*.safetensors"))
        set_weights(model, {name: value for file in files for name, value in load_file(file).items()})
    except SAVE_ERRORS as error:
        raise StorageError(f"{folder} cannot be read: {reason_of(error)}", hint="train again") from None


def save_weights(model: Any, folder: Path, recipe: Recipe) -> None:
    """Save an adapter or a model, whole or not at all; the first process does. All have to ask.

    Raises:
        StorageError: it cannot be written there; if another place has room, the message names it.
    """
    whole = whole_state(model.state_dict()) if is_sharded(model) else None
    if place() > 0:
        return
    draft = folder.with_name(f".{folder.name}")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        _write(model, whole, draft, recipe)
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    except SAVE_ERRORS as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StorageError(f"{folder} cannot be written: {reason_of(error)}{_rescued(model, whole, recipe)}") from None


def _rescued(model: Any, whole: Weights | None, recipe: Recipe) -> str:
    """Save in the folder for temporary files, and say where that is."""
    rescue = Path(tempfile.mkdtemp(prefix="skillpm-adapter-"))
    try:
        _write(model, whole, rescue, recipe)
    except SAVE_ERRORS:
        shutil.rmtree(rescue, ignore_errors=True)
        return ""
    return f"; the weights are in {rescue}"


def _write(model: Any, whole: Weights | None, folder: Path, recipe: Recipe) -> None:
    """Write weights that name their base model as other machines know it, and have no README of a library.

    The library would write the path of the model's folder, which leads nowhere elsewhere and shows a person's name.
    What the chat template was called with stands beside the weights, which are asked in the same way.
    """
    for configuration in getattr(model, "peft_config", {}).values():
        configuration.base_model_name_or_path = portable_name(recipe.model)
        configuration.revision = configuration.revision or getattr(model.config, "_commit_hash", None)
        if isinstance(configuration.target_modules, set):  # a set has another order in each process
            configuration.target_modules = sorted(configuration.target_modules)
    model.save_pretrained(folder, state_dict=whole)
    (folder / "README.md").unlink(missing_ok=True)
    if recipe.chat_template_kwargs:
        (folder / TEMPLATE_ARGUMENTS).write_text(json.dumps(recipe.chat_template_kwargs) + "\n", encoding="utf-8")

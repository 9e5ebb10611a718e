"""Runs the stages of a plan on one model, one after the other, and saves an adapter after each."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoConfig

from skillpm.errors import StorageError, TrainingError, UsageError
from skillpm.model.ports import Judge, Prefetch, Progress
from skillpm.model.run import RunStage
from skillpm.model.training import Stage, StageInput, StageOutput
from skillpm.train.base_model import portable_name
from skillpm.train.hf.checkpoint import SAVE_ERRORS
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.model import load_conversation, load_model, machine_settings, weights_digest
from skillpm.train.hf.policy import TEMPLATE_ARGUMENTS
from skillpm.train.metrics import StageReport
from skillpm.train.plan import PlannedStage, TrainPlan
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import RunFolder

Run = Callable[[Any, StageInput], StageOutput]


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a run depends on."""
    return {name: version(name) for name in ("torch", "transformers", "trl", "peft", "datasets", "accelerate")}


def machine_record(model: Path | str, dtype: str) -> dict[str, Any]:
    """Return what the manifest records of the model and of this machine."""
    record: dict[str, Any] = {**machine_settings(dtype), "model_digest": weights_digest(model)}
    revision = _revision(model)
    return record if revision is None else {**record, "revision": revision}


def _revision(model: Path | str) -> str | None:
    """Return the commit of a hub id as it lies in the cache; None for a folder."""
    if Path(model).is_dir():
        return None
    try:
        configuration = AutoConfig.from_pretrained(str(model), local_files_only=True)
    except (OSError, ValueError):
        return None
    return getattr(configuration, "_commit_hash", None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that stands ready to be trained, and how it is talked to.

    Attributes:
        model: a PEFT model with the adapter as training begins.
        conversation: of its tokenizer and template.
    """

    model: Any
    conversation: Conversation


def open_model(recipe: Recipe, model: Path | str) -> Opened:
    """Load a model and put an adapter onto it.

    Args:
        recipe: what was asked.
        model: a folder or a hub id.

    Raises:
        UsageError: the model cannot be loaded, its template writes no answers, or no adapter of the recipe fits.
    """
    transformers.set_seed(recipe.seed)
    conversation = load_conversation(model, recipe.chat_template_kwargs)
    return Opened(_adapted(load_model(model, recipe.dtype), recipe), conversation)


@dataclass(frozen=True, slots=True)
class Training:
    """With what a plan is run.

    Attributes:
        opened: the model.
        judge: judges episodes for the rewards.
        prefetch: has episodes judged before they are asked for.
        folder: takes adapters, checkpoints and metrics.
        progress: shows the steps.
    """

    opened: Opened
    judge: Judge
    prefetch: Prefetch
    folder: RunFolder
    progress: Progress


def run_stages(plan: TrainPlan, runs: Sequence[Run], training: Training) -> list[RunStage]:
    """Train; stages that the folder has finished are taken from it, and one that was ended goes on.

    Args:
        plan: rows and stages.
        runs: what runs each stage, as its trainer's ``load`` returned it.
        training: with what.

    Returns:
        What each stage did.

    Raises:
        TrainingError: a stage had to stop.
        StorageError: the disk is full; where weights were to be saved, they are in another place.
        PluginError: a plugin's trainer failed.
    """
    model, folder = training.opened.model, training.folder
    _require_space(model, folder, len(plan.stages))
    records: list[RunStage] = []
    for planned, run in zip(plan.stages, runs, strict=True):
        stage = planned.settings
        record = folder.finished_stage(stage.name)
        if record is not None:
            _load(model, folder.adapter(stage.name))
        else:
            transformers.set_seed(plan.recipe.seed)
            record = _run_stage(planned, run, plan.recipe, training)
            folder.finish_stage(record)
        records.append(record)
    return records


def _run_stage(planned: PlannedStage, run: Run, recipe: Recipe, training: Training) -> RunStage:
    stage, begin = planned.settings, time.monotonic()
    opened, folder, progress = training.opened, training.folder, training.progress
    progress.start(f"{stage.name} ({stage.kind})", planned.plan.steps)
    report = StageReport(stage.name, folder.log, progress, folder.logged(stage.name))
    stage_input = StageInput(
        opened.model,
        opened.conversation,
        planned.plan,
        training.judge,
        training.prefetch,
        recipe.seed,
        folder.work(stage.name),
        report,
        recipe.checkpoint_seconds,
    )
    output = _checked(stage, run, stage_input)
    _save(opened.model, folder.adapter(stage.name), recipe)
    seconds = round(time.monotonic() - begin, 1)
    progress.finish(_summary(seconds, output))
    return RunStage(
        name=stage.name,
        kind=stage.kind,
        trainer=planned.trainer.origin,
        adapter=f"stages/{stage.name}/adapter",
        steps=output.steps,
        seconds=seconds,
        kept=output.kept,
    )


def _require_space(model: Any, folder: RunFolder, stages: int) -> None:
    """Raise StorageError where the disk has no room for the adapters and two checkpoints."""
    weights = sum(value.numel() * value.element_size() for value in get_peft_model_state_dict(model).values())
    needed = weights * (stages + 1) + 2 * _CHECKPOINT * weights
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        raise StorageError(
            f"the run takes {needed / 1e6:.0f} MB, {folder.path} has {free / 1e6:.0f} MB free",
            hint="free some space, or choose another disk with `--output DIR`",
        )


_CHECKPOINT = 3  # times the weights: they and the two moments of the optimiser


def _save(peft_model: Any, folder: Path, recipe: Recipe) -> None:
    """Save an adapter, whole or not at all.

    Raises:
        StorageError: it cannot be written there; if another place has room, the message names it.
    """
    draft = folder.with_name(f".{folder.name}")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        _write(peft_model, draft, recipe)
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    except SAVE_ERRORS as error:
        shutil.rmtree(draft, ignore_errors=True)
        reason = str(error).splitlines()[0][:200]
        raise StorageError(f"{folder} cannot be written: {reason}{_rescued(peft_model, recipe)}") from None


def _rescued(peft_model: Any, recipe: Recipe) -> str:
    """Save an adapter in the folder for temporary files, and say where it is."""
    place = Path(tempfile.mkdtemp(prefix="skillpm-adapter-"))
    try:
        _write(peft_model, place, recipe)
    except SAVE_ERRORS:
        shutil.rmtree(place, ignore_errors=True)
        return ""
    return f"; the weights are in {place}"


def _write(peft_model: Any, folder: Path, recipe: Recipe) -> None:
    """Write an adapter that names its base model as other machines know it, and has no README of a library.

    The library would write the path of the model's folder, which leads nowhere elsewhere and shows a person's name.
    What the chat template was called with stands beside the adapter, which is asked in the same way.
    """
    for configuration in peft_model.peft_config.values():
        configuration.base_model_name_or_path = portable_name(recipe.model)
        configuration.revision = configuration.revision or getattr(peft_model.config, "_commit_hash", None)
        if isinstance(configuration.target_modules, set):  # a set has another order in each process
            configuration.target_modules = sorted(configuration.target_modules)
    peft_model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    if recipe.chat_template_kwargs:
        (folder / TEMPLATE_ARGUMENTS).write_text(json.dumps(recipe.chat_template_kwargs) + "\n", encoding="utf-8")


def _load(peft_model: Any, folder: Path) -> None:
    """Give a model the weights of a saved adapter. Raises StorageError."""
    try:
        set_peft_model_state_dict(peft_model, load_file(folder / "adapter_model.safetensors"))
    except SAVE_ERRORS as error:
        reason = str(error).splitlines()[0][:200]
        raise StorageError(f"{folder} cannot be read: {reason}", hint="train again") from None


def _checked(stage: Stage, run: Run, stage_input: StageInput) -> StageOutput:
    """Run one stage; where it is not kept, the adapter is put back as it was.

    Raises:
        TrainingError: the adapter is not finite, or is what it was before.
    """
    before = {name: value.clone() for name, value in get_peft_model_state_dict(stage_input.model).items()}
    output = run(stage, stage_input)
    after = get_peft_model_state_dict(stage_input.model)
    if not all(value.isfinite().all() for value in after.values()):
        raise TrainingError(
            f"stage {stage.name}: the adapter has values that are not finite",
            hint=f"lower the learning rate: --set stages.{stage.name}.learning_rate=1e-5",
        )
    if output.steps and output.kept and all(value.equal(after[name]) for name, value in before.items()):
        raise TrainingError(
            f"stage {stage.name}: {output.steps} steps left the adapter as it was",
            hint=f"raise the learning rate: --set stages.{stage.name}.learning_rate=1e-3",
        )
    if not output.kept:
        set_peft_model_state_dict(stage_input.model, before)
    return output


def _summary(seconds: float, output: StageOutput) -> str:
    taken_back = [] if output.kept else ["taken back"]
    words = ": ".join([*taken_back, *([output.note] if output.note else [])])
    return f"{seconds:.0f} s{f', {words}' if words else ''}"


def _adapted(model: Any, recipe: Recipe) -> Any:
    """Put a new adapter onto a model.

    Raises:
        UsageError: the recipe's target modules are not this model's.
    """
    try:
        return get_peft_model(model, _lora(recipe))
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UsageError(
            f"no adapter fits {recipe.model}: {reason}", hint="--set lora.target_modules=all-linear"
        ) from None


def _lora(recipe: Recipe) -> LoraConfig:
    target = recipe.lora.target_modules
    return LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=target if isinstance(target, str) else list(target),
        task_type="CAUSAL_LM",
    )

"""Runs the stages of a plan on one model, one after the other, and saves an adapter after each."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import AutoConfig

from skillpm.errors import TrainingError, UsageError
from skillpm.model.ports import Judge, Prefetch, Progress
from skillpm.model.run import RunStage
from skillpm.model.training import Stage, StageInput, StageOutput
from skillpm.train.base_model import portable_name
from skillpm.train.hf.model import load_conversation, load_model, machine_settings, weights_digest
from skillpm.train.hf.policy import TEMPLATE_ARGUMENTS
from skillpm.train.metrics import StageReport
from skillpm.train.plan import TrainPlan
from skillpm.train.recipe import Recipe

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


def _save(peft_model: Any, folder: Path, recipe: Recipe) -> None:
    """Save an adapter that names its base model as other machines know it, and has no README of a library.

    The library would write the path of the model's folder, which leads nowhere elsewhere and shows a person's name.
    What the chat template was called with stands beside the adapter, which is asked in the same way.
    """
    for configuration in peft_model.peft_config.values():
        configuration.base_model_name_or_path = portable_name(recipe.model)
        configuration.revision = configuration.revision or getattr(peft_model.config, "_commit_hash", None)
    peft_model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    if recipe.chat_template_kwargs:
        (folder / TEMPLATE_ARGUMENTS).write_text(json.dumps(recipe.chat_template_kwargs) + "\n", encoding="utf-8")


def run_stages(
    plan: TrainPlan,
    runs: Sequence[Run],
    model: Path | str,
    judge: Judge,
    prefetch: Prefetch,
    *,
    adapter: Callable[[str], Path],
    log: Callable[[Mapping[str, Any]], None],
    progress: Progress,
) -> list[RunStage]:
    """Train.

    Args:
        plan: rows and stages.
        runs: what runs each stage, as its trainer's ``load`` returned it.
        model: a folder or a hub id.
        judge: judges episodes for the rewards.
        prefetch: has episodes judged before they are asked for.
        adapter: where the adapter of a stage is saved.
        log: takes the metrics of each step.
        progress: shows the steps.

    Returns:
        What each stage did; ``adapter`` as given by ``adapter``.

    Raises:
        UsageError: the model cannot be loaded.
        TrainingError: a stage had to stop.
        PluginError: a plugin's trainer failed.
    """
    transformers.set_seed(plan.recipe.seed)
    conversation = load_conversation(model, plan.recipe.chat_template_kwargs)
    peft_model = _adapted(load_model(model, plan.recipe.dtype), plan.recipe)
    records = []
    for planned, run in zip(plan.stages, runs, strict=True):
        stage = planned.settings
        begin = time.monotonic()
        progress.start(f"{stage.name} ({stage.kind})", planned.plan.steps)
        report = StageReport(stage.name, log, progress)
        with tempfile.TemporaryDirectory(prefix="skillpm-") as work:
            stage_input = StageInput(
                peft_model, conversation, planned.plan, judge, prefetch, plan.recipe.seed, Path(work), report
            )
            output = _run_stage(stage, run, stage_input)
        _save(peft_model, adapter(stage.name), plan.recipe)
        seconds = round(time.monotonic() - begin, 1)
        progress.finish(_summary(seconds, output))
        records.append(
            RunStage(
                name=stage.name,
                kind=stage.kind,
                trainer=planned.trainer.origin,
                adapter=f"stages/{stage.name}/adapter",
                steps=output.steps,
                seconds=seconds,
                kept=output.kept,
            )
        )
    return records


def _run_stage(stage: Stage, run: Run, stage_input: StageInput) -> StageOutput:
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

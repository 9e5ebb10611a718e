"""Runs the stages of a plan on one model, one after the other, and saves an adapter after each."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import transformers
from peft import LoraConfig, get_peft_model

from skillpm.model.ports import Progress
from skillpm.model.run import RunStage
from skillpm.train.columns import Judge
from skillpm.train.hf.grpo import train_grpo
from skillpm.train.hf.model import load_model, load_tokenizer
from skillpm.train.hf.sft import train_sft
from skillpm.train.hf.watch import Watch
from skillpm.train.plan import StagePlan, TrainPlan
from skillpm.train.recipe import Sft, Stage

__all__ = ["library_versions", "run_stages"]


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a run depends on."""
    return {name: version(name) for name in ("torch", "transformers", "trl", "peft", "datasets", "accelerate")}


def run_stages(
    plan: TrainPlan,
    model: Path | str,
    judge: Judge,
    *,
    adapter: Callable[[str], Path],
    log: Callable[[Mapping[str, Any]], None],
    progress: Progress,
) -> list[RunStage]:
    """Train.

    Args:
        plan: rows and stages.
        model: a folder or a hub id.
        judge: judges episodes for the rewards.
        adapter: where the adapter of a stage is saved.
        log: takes the metrics of each step.
        progress: shows the steps.

    Returns:
        What each stage did; ``adapter`` as given by ``adapter``.

    Raises:
        UsageError: the model cannot be loaded.
        TrainingError: a stage had to stop.
    """
    recipe = plan.recipe
    transformers.set_seed(recipe.seed)
    tokenizer = load_tokenizer(model)
    lora = LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=_modules(recipe.lora.target_modules),
        task_type="CAUSAL_LM",
    )
    peft_model = get_peft_model(load_model(model, recipe.dtype), lora)
    done = []
    for stage, stage_plan in zip(recipe.stages, plan.stages, strict=True):
        begin = time.monotonic()
        progress.start(f"{stage.name} ({stage.kind})", stage_plan.steps)
        steps, kept = _run_stage(peft_model, tokenizer, plan, stage, stage_plan, judge, log, progress)
        peft_model.save_pretrained(adapter(stage.name))
        seconds = round(time.monotonic() - begin, 1)
        progress.finish(f"{seconds:.0f} s{'' if kept else ', taken back: it made its validation rows worse'}")
        relative = f"stages/{stage.name}/adapter"
        done.append(
            RunStage(name=stage.name, kind=stage.kind, adapter=relative, steps=steps, seconds=seconds, kept=kept)
        )
    return done


def _run_stage(
    model: Any,
    tokenizer: Any,
    plan: TrainPlan,
    stage: Stage,
    stage_plan: StagePlan,
    judge: Judge,
    log: Callable[[Mapping[str, Any]], None],
    progress: Progress,
) -> tuple[int, bool]:
    """Train one stage; return its optimiser steps, and whether the model kept what it learned."""
    watch = Watch(stage.name, log, progress)
    seed = plan.recipe.seed
    with tempfile.TemporaryDirectory(prefix="skillpm-") as work:
        if isinstance(stage, Sft):
            return train_sft(model, tokenizer, stage, plan.train, seed=seed, work=Path(work), watch=watch), True
        refined = train_grpo(
            model, tokenizer, stage, stage_plan, plan.refine, judge, seed=seed, work=Path(work), watch=watch
        )
    log(
        {
            "stage": stage.name,
            "step": refined.steps,
            "validation_before": refined.before,
            "validation_after": refined.after,
            "judged": refined.judged,
            "errored": refined.errored,
        }
    )
    return refined.steps, refined.kept


def _modules(target: str | tuple[str, ...]) -> str | list[str]:
    return target if isinstance(target, str) else list(target)

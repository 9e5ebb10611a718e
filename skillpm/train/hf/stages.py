"""Runs the stages of a plan on one model, one after the other, and saves what each leaves: an adapter, or answers."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig

from skillpm.errors import PluginError, StorageError, TrainingError, UsageError
from skillpm.model.progress import Progress
from skillpm.model.run import RunStage
from skillpm.model.task import Message
from skillpm.model.training import Stage, StageInput, StageOutput
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.distil import check_teacher
from skillpm.train.hf.memory import peak_memory, within_memory
from skillpm.train.hf.model import (
    check_vocabulary,
    device_name,
    load_conversation,
    load_model,
    machine_settings,
    room_for,
    window,
)
from skillpm.train.hf.sharded import is_sharded, shard
from skillpm.train.hf.together import gathered, meet, place, summed
from skillpm.train.hf.trackers import check_trackers
from skillpm.train.hf.tuned import all_layers, load_weights, save_weights, set_weights, trained_weights, tuned
from skillpm.train.hf.vllm import VllmSampler
from skillpm.train.hf.zero import uses_zero
from skillpm.train.kinds import BUILT_IN
from skillpm.train.metrics import StageReport
from skillpm.train.model_files import model_digest
from skillpm.train.plan import PlannedStage, TrainPlan
from skillpm.train.processes import Job, Judging, Track
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import RunFolder

Run = Callable[[Any, StageInput], StageOutput]


def machine_record(job: Job, opened: Opened) -> dict[str, Any]:
    """Return what the manifest records of the models, of the adapter that training began from, and of this machine."""
    record: dict[str, Any] = {**machine_settings(job.recipe.dtype), "model_digest": model_digest(job.model)}
    if job.adapter is not None:
        record["adapter_digest"] = model_digest(job.adapter)
    if job.teachers:
        digests = {name: model_digest(source) or _revision(source) for name, source in job.teachers.items()}
        record["teachers"] = digests
    if opened.vllm is not None:
        record["vllm"] = opened.vllm.version
    revision = _revision(job.model)
    return record if revision is None else {**record, "revision": revision}


def visible_gpus() -> int:
    """Return how many GPUs this process sees; training uses the first."""
    return torch.cuda.device_count()


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
        model: as training begins: a PEFT model with its adapter, or a model all of whose weights are trained.
        conversation: of its tokenizer and template.
        teachers: the other models that the recipe names.
        vllm: samples for the stages whose recipe says so.
    """

    model: Any
    conversation: Conversation
    teachers: Mapping[str, Path | str]
    vllm: VllmSampler | None = None

    def close(self) -> None:
        """End what was started for it."""
        if self.vllm is not None:
            self.vllm.close()


def open_model(job: Job) -> Opened:
    """Load a model and make it ready to be trained.

    Raises:
        TrainingError: a program of ``report_to`` is not installed, or vLLM does not sample for this model.
        UsageError: the model cannot be loaded, its template writes no answers, no adapter of the recipe fits, a teacher
            has another tokenizer, or no row that will be made fits into a stage.
    """
    recipe = job.recipe
    check_trackers(recipe)
    transformers.set_seed(recipe.seed)
    conversation = load_conversation(job.model, recipe.chat_template_kwargs)
    for name, source in job.teachers.items():
        check_teacher(conversation, name, source)
    dtype = "float32" if recipe.tune == "full" and recipe.dtype == "auto" else recipe.dtype
    loaded = load_model(job.model, dtype, recipe.lora.quantization, "cpu" if job.sharded else None)
    _check_room(job, conversation, loaded)
    check_vocabulary(loaded, [conversation.end])  # which have the highest numbers of all, mostly
    model = tuned(loaded, recipe, job.adapter)
    if job.sharded:
        shard(model, all_layers(model), device_name())
    if recipe.lora.quantization != "none":
        loaded.is_loaded_in_4bit = False  # TRL would round the adapter to bfloat16, whatever the data type
    vllm = VllmSampler(job.model, model) if recipe.uses_vllm else None
    return Opened(model, conversation.stopping_with(loaded), job.teachers, vllm)


def _check_room(job: Job, conversation: Conversation, model: Any) -> None:
    """Raise UsageError where a stage takes fewer tokens than a request of one letter has, before rows are made."""
    asked = Message(role="user", content="a")
    prompts = [((Message(role="system", content=text),) if text else ()) + (asked,) for text in job.prompts]
    lengths = [len(conversation.prompt(messages)) for messages in prompts]
    for stage in job.recipe.stages if lengths else ():
        length = getattr(stage, "max_length", None) if stage.kind in BUILT_IN.trainers else None
        if length is None or min(lengths) <= min(length, window(model)):
            continue
        most = min(window(model), max(type(stage).model_fields["max_length"].default, 4 * min(lengths)))
        fits = min(lengths) < window(model)
        raise UsageError(
            f"stage {stage.name}: no row fits into {min(length, window(model))} tokens: the shortest has "
            f"{min(lengths)} tokens or more",
            hint=f"--set stages.{stage.name}.max_length={most}" if fits else room_for(lengths, model, stage),
        )


@dataclass(frozen=True, slots=True)
class Training:
    """With what a plan is run.

    Attributes:
        opened: the model.
        judging: of the answers.
        folder: takes adapters, checkpoints and metrics.
        progress: shows the steps.
        track: takes each row of metrics.jsonl beside the file.
    """

    opened: Opened
    judging: Judging
    folder: RunFolder
    progress: Progress
    track: Track = lambda row: None

    def log(self, row: Mapping[str, Any]) -> None:
        """Write a row of metrics.jsonl, and show it; one process does. Raises StorageError."""
        if place() > 0:
            return
        self.folder.log(row)
        self.track(row)


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
    _require_space(model, folder, sum(planned.trainer.trains for planned in plan.stages))
    records: list[RunStage] = []
    for planned, run in zip(plan.stages, runs, strict=True):
        stage = planned.settings
        record = folder.finished_stage(stage.name)
        if record is None:
            transformers.set_seed(plan.recipe.seed)
            record = _run_stage(planned, run, plan.recipe, training)
            if place() == 0:
                folder.finish_stage(record)
            gc.collect()  # the wrapper of several processes is in a cycle, and holds on to the weights' gradients
            meet()
        elif record.adapter is not None:
            load_weights(model, folder.adapter(stage.name))
        records.append(record)
    return records


def _run_stage(planned: PlannedStage, run: Run, recipe: Recipe, training: Training) -> RunStage:
    stage, trains, begun = planned.settings, planned.trainer.trains, time.monotonic()
    opened, folder, progress = training.opened, training.folder, training.progress

    def begin() -> StageInput:
        progress.start(f"{stage.name} ({stage.kind})", planned.plan.steps)
        return StageInput(
            opened.model,
            opened.conversation,
            planned.plan,
            training.judging.judge,
            training.judging.prefetch,
            recipe.seed,
            folder.work(stage.name),
            StageReport(stage.name, training.log, progress, peak_memory, folder.logged(stage.name)),
            recipe.checkpoint_seconds,
            opened.teachers,
            training.judging.observe,
            opened.vllm,
        )

    try:
        output = _checked(planned, run, begin, progress.finish)
    except BaseException:
        progress.finish("not finished")
        raise
    if trains:
        save_weights(opened.model, folder.adapter(stage.name), recipe)
    elif place() == 0:
        folder.write(f"stages/{stage.name}/answers.jsonl", (f"{one.model_dump_json()}\n" for one in output.answers))
    seconds = round(time.monotonic() - begun, 1)
    progress.finish(_outcome(output), seconds)
    return RunStage(
        name=stage.name,
        kind=stage.kind,
        trainer=planned.trainer.origin,
        adapter=f"stages/{stage.name}/adapter" if trains else None,
        answers=None if trains else f"stages/{stage.name}/answers.jsonl",
        steps=output.steps,
        seconds=seconds,
        kept=output.kept,
    )


def _require_space(model: Any, folder: RunFolder, stages: int) -> None:
    """Raise StorageError where the disk has no room for the adapters and two checkpoints."""
    weights = sum(value.numel() * value.element_size() for value in trained_weights(model).values())
    weights = int(summed(weights)[0]) if is_sharded(model) else weights
    times = _CHECKPOINT + 2 if uses_zero() else _CHECKPOINT  # DeepSpeed's has the weights twice more
    needed = weights * (stages + 1) + 2 * times * weights
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        raise StorageError(
            f"the run takes {needed / 1e6:.0f} MB, {folder.path} has {free / 1e6:.0f} MB free",
            hint="free some space, or choose another disk with `--output DIR`",
        )


_UNSEEN = 1e-9  # a change of an adapter that leaves the weights, of some hundredths each, as they are in float32
_CHECKPOINT = 3  # times the weights: they and the two moments of the optimiser


def _checked(
    planned: PlannedStage, run: Run, begin: Callable[[], StageInput], finish: Callable[[str], None]
) -> StageOutput:
    """Run one stage, in smaller passes where the memory asks for them; put the adapter back if it is not kept.

    Raises:
        TrainingError: the adapter is not finite, or is what it was before.
        PluginError: a stage that says that it does not train has changed the adapter.
    """
    stage, stage_input, tries = planned.settings, begin(), 0
    # in the memory of the machine: that of a GPU is dearer, and they are looked at when the stage has ended
    before = {name: value.detach().to("cpu", copy=True) for name, value in trained_weights(stage_input.model).items()}

    def run_it(asked: Stage) -> StageOutput:
        nonlocal stage_input, tries
        tries += 1
        if tries > 1:
            finish("not enough memory")
            _begin_again(stage_input, before)
            stage_input = begin()
        return run(asked, stage_input)

    output = within_memory(stage, run_it, stage_input.work)
    after = trained_weights(stage_input.model)
    if not planned.trainer.trains:
        if not _same(before, after, 0.0):
            raise PluginError(
                f"stage {stage.name}: its kind {stage.kind} says that it does not train, and has changed the adapter",
                hint=f"`{planned.trainer.origin}` brings it, and has to declare it with `trains=True`",
            )
        return output
    if not all(gathered(all(bool(value.isfinite().all()) for value in after.values()))):
        raise TrainingError(
            f"stage {stage.name}: the adapter has values that are not finite",
            hint=f"lower the learning rate: --set stages.{stage.name}.learning_rate=1e-5",
        )
    if output.steps and output.kept and _same(before, after, _UNSEEN):
        raise TrainingError(
            f"stage {stage.name}: {output.steps} steps did not change the adapter",
            hint=f"raise the learning rate: --set stages.{stage.name}.learning_rate=1e-3",
        )
    if not output.kept:
        set_weights(stage_input.model, before)
    return output


def _same(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], within: float) -> bool:
    pairs = ((value, after[name].cpu()) for name, value in before.items())
    return all(gathered(all(torch.allclose(one, other, rtol=0.0, atol=within) for one, other in pairs)))


def _begin_again(stage_input: StageInput, before: Mapping[str, torch.Tensor]) -> None:
    """Make everything as it was when the stage began, and free what the last try held."""
    stage_input.model.zero_grad(set_to_none=True)
    set_weights(stage_input.model, before)
    for path in stage_input.work.glob("checkpoint-*"):
        shutil.rmtree(path, ignore_errors=True)
    transformers.set_seed(stage_input.seed)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _outcome(output: StageOutput) -> str:
    return ": ".join(filter(None, ("" if output.kept else "taken back", output.note)))

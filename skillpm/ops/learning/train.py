"""Train a model on skills: recipe -> tasks -> plan -> stages -> run folder."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from shlex import quote
from typing import Any

from skillpm import __version__
from skillpm.errors import PolicyError, SkillpmError, TrainingError, UsageError
from skillpm.evals.asking import Asking
from skillpm.formats.yaml_text import yaml_text
from skillpm.model.progress import Progress
from skillpm.model.run import RunManifest, RunRows, RunSkill, RunStage, RunStart
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import trained_base
from skillpm.ops.learning.evaluate import Evaluated, Evaluator
from skillpm.ops.learning.evaluate_run import evaluate_trained
from skillpm.ops.learning.models import check_base, ready_model
from skillpm.ops.learning.rephrase import load_rephrasing
from skillpm.ops.learning.resumption import (
    CONFIG,
    DEEPSPEED,
    LOCK,
    PROCESSES,
    SETTINGS,
    check_files,
    check_machine,
    keep_launch,
    model_identity,
    stored_launch,
)
from skillpm.ops.learning.rollouts import RolloutRecorder
from skillpm.ops.learning.runs import find_adapter, run_word
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.ops.learning.synth import make_rows
from skillpm.ops.learning.training_plan import check_recipe, plan_rows, row_request, row_sources, stored_plan
from skillpm.ops.project.known_pages import KnownPages, adapter_recalls
from skillpm.runtime.catalogue import Contributions
from skillpm.settings.distribution import TRAINING
from skillpm.storage.files import check_can_make, read_text
from skillpm.synth.generate import Synthesis
from skillpm.train.base_model import KNOWN_MODELS, configured_size, locate_model, no_layer, portable_name
from skillpm.train.card import cards
from skillpm.train.launch import Launch, check_shares
from skillpm.train.plan import TrainPlan
from skillpm.train.processes import Job, Judging, Learn, Track, launched
from skillpm.train.recipe import Recipe, load_recipe, with_whole_paths
from skillpm.train.run_folder import DATA_PROFILE, INPUTS, RECIPE, ROWS, RunFolder
from skillpm.train.template_arguments import template_arguments


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run.

    Attributes:
        evaluated: what its model answered to held-out rows; None where it was not asked any.
        interrupted: did Ctrl-C end the evaluation?
    """

    folder: Path
    manifest: RunManifest
    evaluated: Evaluated | None = None
    interrupted: bool = False


def plan_training(context: Context, recipe: Recipe, *, progress: Progress, launch: Launch | None = None) -> TrainPlan:
    """Work out what a run would do; imports no torch and writes nothing.

    Raises:
        UsageError: the recipe asks for what the skills do not have, or for what processes cannot share.
        CheckError: a seed stands in a suite, or no row can be held out.
        PluginError: a plugin's trainer failed.
        PolicyError: the adapter to begin from is in quarantine.
    """
    recipe = with_whole_paths(recipe)
    _check_models(context, recipe, launch)
    skills = context.skills(recipe.skills)
    with open_session(context, skills) as session:
        check_recipe(context, recipe, session)
        synthesis = make_rows(context, session, row_sources(context, recipe, session), row_request(recipe), progress)
        plan = plan_rows(context, recipe, session, synthesis, launch)
        return replace(plan, notes=(*_recalls(context, recipe, skills), *plan.notes))


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything that training needs beside its rows.

    Attributes:
        sources: what the rows are made of; nothing where a run is resumed, which has them.
        machine: what the manifest records of the model and of this machine.
        learn: runs the stages of a plan, here or in processes, whose model stands ready.
        launch: of processes; None where this one trains.
    """

    context: Context
    recipe: Recipe
    skills: Sequence[Skill]
    session: JudgingSession
    sources: Sequence[Contributions]
    machine: Mapping[str, Any]
    learn: Learn
    launch: Launch | None


def train(
    context: Context, recipe: Recipe, *, progress: Progress, runs: Path | None = None, launch: Launch | None = None
) -> Trained:
    """Train, and write a run folder whose manifest comes last.

    The recipe names its skills, or all installed ones count. ``runs`` is the parent of the run folder; by default
    ``runs`` in the project. ``launch`` says how several processes train, which share each step.

    Raises:
        UsageError: the recipe asks for what is not there, or for what processes cannot share.
        CheckError: a seed stands in a suite, or no row can be held out.
        TrainingError: torch or what a trainer needs is missing, or a stage had to stop.
        PluginError: a plugin's trainer failed.
        PolicyError: the adapter to begin from is in quarantine.
        StorageError: the disk is full; a run that has begun can be resumed.
        KeyboardInterrupt: it says how the run goes on.
    """
    runs = runs or context.settings.runs
    check_can_make(runs)
    with _ready(context, with_whole_paths(recipe), launch) as ready:
        recipe = ready.recipe
        rephrase = recipe.data.rephrase
        rephrasing = load_rephrasing(context, rephrase.model, rephrase.share) if rephrase else None
        synthesis = make_rows(context, ready.session, ready.sources, row_request(recipe, rephrasing), progress)
        plan = plan_rows(context, recipe, ready.session, synthesis, launch)
        folder = RunFolder.create(runs, recipe.name, context.settings.runs)
        with folder.in_use():
            _write_inputs(folder, ready, synthesis)
            return _train(ready, plan, folder, progress)


def resume(
    context: Context, run: Path, *, progress: Progress, processes: int | None = None, config: Path | None = None
) -> Trained:
    """Go on with a run that was ended, to the bytes that it would have had; by default with as many processes.

    ``config`` is a file of accelerate, by default that of the run.

    Raises:
        UsageError: there is no such run, it is finished, or what it began with has changed.
        BusyError: another process trains in the folder.
        ConsentError, TrainingError, PluginError, PolicyError, StorageError, KeyboardInterrupt: as ``train``.
    """
    folder = RunFolder.open_unfinished(run)
    recipe = stored_recipe(context, run)
    with folder.in_use():
        start = folder.start
        check_files(context.settings, folder, start)
        launch = stored_launch(folder, start, processes, config)
        with _ready(context, recipe, launch, resumed=True) as ready:
            check_machine(context, start, ready.skills, ready.machine)
            return _train(ready, stored_plan(context, ready.recipe, ready.session, folder), folder, progress)


def recipe_of_each(context: Context, recipe: Recipe) -> list[Recipe]:
    """Return a recipe for each skill of a recipe: the same for that skill alone, in a run that has its name.

    Raises:
        UsageError: there is no such skill.
    """
    recipes, data = [], recipe.data
    for skill, typed in zip_longest(context.skills(recipe.skills), recipe.skills):
        words = [] if recipe.name == Recipe().name else [recipe.name]
        own = {
            "caps": {name: cap for name, cap in data.caps.items() if name == skill.name},
            "weights": {name: weight for name, weight in data.weights.items() if name == skill.name},
        }
        change = {
            "name": "-".join([*words, *skill.name.split("/")])[:48],
            "skills": (typed or skill.name,),
            "data": data.model_copy(update=own),
        }
        recipes.append(recipe.model_copy(update=change))
    return recipes


def stored_recipe(context: Context, run: Path, changes: tuple[str, ...] = ()) -> Recipe:
    """Return the recipe of a run, changed as by ``--set``. Raises DocumentError, StorageError, UsageError."""
    path = run / RECIPE
    return load_recipe(path, read_text(path), changes, context.stage_kinds)


def _check_models(context: Context, recipe: Recipe, launch: Launch | None) -> Path | None:
    """Return the adapter that a recipe begins from. Raises UsageError where its models are not what it asks for."""
    check_shares(recipe, launch)
    folder, *_ = [locate_model(name, context.settings.models) for name in (recipe.model, *recipe.teachers)]
    if isinstance(folder, Path):
        _check_sizes(recipe, folder)
    return find_adapter(context.settings, recipe)


def _check_sizes(recipe: Recipe, folder: Path) -> None:
    """Raise UsageError where a recipe asks for more than its model's config.json says that there is."""
    layers, window = (configured_size(folder, key) for key in ("num_hidden_layers", "max_position_embeddings"))
    if layers is not None and recipe.layers and max(recipe.layers) >= layers:
        raise no_layer(max(recipe.layers), recipe.model, layers)
    for stage in recipe.stages:
        answer = getattr(stage, "max_new_tokens", 0)
        if window is not None and answer >= window:
            raise UsageError(
                f"stage {stage.name}: beside an answer of {answer} tokens no request fits into the {window} tokens "
                f"that {recipe.model} reads",
                hint=f"--set stages.{stage.name}.max_new_tokens={max(1, min(96, window // 4))}",
            )


def _recalls(context: Context, recipe: Recipe, skills: Sequence[Skill]) -> list[str]:
    """Return what this machine knows of the recalls of what a recipe learns from.

    Raises:
        PolicyError: the adapter that it begins from is in quarantine.
    """
    lock, known = context.lock(), KnownPages(context)
    adapter = lock.skill(recipe.adapter)
    sentences = adapter_recalls(context, adapter) if adapter and adapter.adapter else []
    trees = {skill.tree for skill in skills}
    return sentences + [text for entry in lock.skills if entry.tree in trees for text in known.recalls(entry, lock)]


@contextmanager
def _ready(context: Context, recipe: Recipe, launch: Launch | None, *, resumed: bool = False) -> Iterator[_Ready]:
    """Have everything there that can fail before a row is made."""
    adapter = _check_models(context, recipe, launch)
    if adapter is not None and not resumed and not recipe.chat_template_kwargs:  # it goes on to be asked as it was
        recipe = recipe.model_copy(update={"chat_template_kwargs": template_arguments(adapter)})
    skills = context.skills(recipe.skills)
    try:
        for sentence in _recalls(context, recipe, skills):
            context.note(f"warning: {sentence}")
    except PolicyError as quarantine:
        if resumed:  # its recipe cannot name another adapter any more
            quarantine.hint = f"begin a new run: {quarantine.hint}"
        raise
    with open_session(context, skills) as session:
        check_recipe(context, recipe, session)
        sources = () if resumed else row_sources(context, recipe, session)
        model = ready_model(recipe.model, context.settings)
        teachers = {name: ready_model(name, context.settings) for name in recipe.teachers}
        prompts = () if resumed else tuple(given.prompt for given in session.contributions.values())
        job = Job(recipe, model, adapter, teachers, prompts=prompts)
        if launch and launch.machines:
            context.note(launch.machines.waiting)
        with launched(launch, job) if launch else _here(context, job) as (machine, learn):
            if adapter is not None and not resumed:
                check_base(trained_base(adapter), recipe.model, machine["model_digest"])
            yield _Ready(context, recipe, skills, session, sources, machine, learn, launch)


@contextmanager
def _here(context: Context, job: Job) -> Iterator[tuple[Mapping[str, Any], Learn]]:
    """Have the model stand ready in this process."""
    recipe = job.recipe
    stages = _needed(lambda: importlib.import_module("skillpm.train.hf.stages"))
    runners = [_needed(context.stage_kinds.trainers[stage.kind].load) for stage in recipe.stages]
    opened = stages.open_model(job)
    if (gpus := stages.visible_gpus()) > 1:
        context.note(f"{gpus} GPUs are visible, training uses the first; `--processes {gpus}` uses all of them")

    def learn(plan: TrainPlan, folder: RunFolder, judging: Judging, progress: Progress, track: Track) -> Any:
        return stages.run_stages(plan, runners, stages.Training(opened, judging, folder, progress, track))

    try:
        yield stages.machine_record(job, opened), learn
    finally:
        opened.close()


def _train(ready: _Ready, plan: TrainPlan, folder: RunFolder, progress: Progress) -> Trained:
    context = ready.context
    try:
        manifest = _learn(ready, plan, folder, progress)
    except (KeyboardInterrupt, SkillpmError) as error:
        command = f"`skillpm train --resume {quote(run_word(context.settings, folder.path))}`"
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"{command} goes on") from None
        context.note(f"{command} tries again where it stopped")
        if (unjudged := ready.session.contributions.get(error.details.get("skill", ""))) and error.hint is None:
            error.hint = f"run `skillpm selftest {unjudged.skill.word}`; an outage must not train a policy"
        raise
    ready.session.host.run_finished({"folder": str(folder.path), **manifest.model_dump(mode="json")})
    return _evaluated(ready, Trained(folder.path, manifest), progress)


def _learn(ready: _Ready, plan: TrainPlan, folder: RunFolder, progress: Progress) -> RunManifest:
    """Run the stages, and finish the folder."""
    context, session = ready.context, ready.session
    tasks = [row.task for row in (*plan.material.train, *plan.material.refine)]
    rollouts = RolloutRecorder(session.scorer.judge, folder.path / "rollouts.jsonl", tasks)
    tracking = importlib.import_module("skillpm.train.hf.trackers").tracking
    with tracking(ready.recipe, folder.path, context.note) as track:
        judging = Judging(rollouts.judge, session.scorer.prefetch, session.scorer.observer)
        records = ready.learn(plan, folder, judging, progress, track)
    judged = rollouts.evaluation(session.contributions, ready.recipe.model)
    if judged is not None:
        folder.write("evals/rollouts.json", judged.text())
        rollouts.path.unlink(missing_ok=True)
    manifest = _manifest(plan, ready, records)
    folder.publish_adapter(manifest.last)
    for name, text in cards(manifest).items():
        folder.write(name, text)
    return folder.finish(manifest)


def _evaluated(ready: _Ready, trained: Trained, progress: Progress) -> Trained:
    """Have the trained model evaluated on held-out rows. The run is finished, so a failure is a note."""
    recipe, context = ready.recipe, ready.context
    asking = Asking(limit=recipe.data.evaluate, seed=recipe.seed, dtype=recipe.dtype)
    try:
        evaluator = Evaluator(context, asking, progress)
        evaluated = evaluate_trained(evaluator, ready.session, RunFolder(trained.folder), recipe)
        return replace(trained, evaluated=evaluated, interrupted=evaluated is not None and evaluated.interrupted)
    except SkillpmError as error:
        context.note(f"the run is finished, but its model could not be evaluated: {error.message}")
    except KeyboardInterrupt:
        return replace(trained, interrupted=True)
    return trained


def _manifest(plan: TrainPlan, ready: _Ready, stages: Sequence[RunStage]) -> RunManifest:
    recipe, rows = plan.recipe, plan.document()
    known = KNOWN_MODELS.get(recipe.model)
    return RunManifest(
        name=recipe.name,
        created=_now(),
        model=recipe.model,
        model_digest=known.sha256 if known else ready.machine["model_digest"],
        base_model=portable_name(recipe.model),
        base_revision=ready.machine.get("revision"),
        tune=recipe.tune,
        seed=recipe.seed,
        sandbox=ready.session.sandbox,
        settings=dict(ready.machine),
        skills=_run_skills(ready),
        stages=tuple(stages),
        versions=_versions(),
        rows={
            name: RunRows(train=count, refine=rows["refine"][name], held_out=rows["held_out"][name])
            for name, count in rows["rows"].items()
        },
        files={},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    return {"skillpm": __version__, "python": platform.python_version(), **library_versions()}


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a run depends on."""
    return {name: version(name) for name in TRAINING}


def _run_skills(ready: _Ready) -> tuple[RunSkill, ...]:
    packages = ready.session.packages
    return tuple(
        RunSkill(name=skill.name, version=skill.version, tree=skill.tree, packages=packages.get(skill.name, ()))
        for skill in ready.skills
    )


def _needed(load: Callable[[], Any]) -> Any:
    """Import what knows torch."""
    try:
        return load()
    except ImportError as error:
        raise TrainingError(
            f"training needs packages that are not installed: {error}", hint="pip install 'skillpm-core[train]'"
        ) from None


def _write_inputs(folder: RunFolder, ready: _Ready, synthesis: Synthesis) -> None:
    folder.write(RECIPE, _recipe_text(ready.recipe, ready.skills))
    lock = ready.context.settings.lock_path
    if lock.is_file():
        folder.write(LOCK, read_text(lock))
    keep_launch(folder, ready.launch)
    for split, lines in synthesis.lines.items():
        folder.write(ROWS[split], map(bytes.decode, lines))
    folder.write(DATA_PROFILE, synthesis.profile.model_dump_json(indent=2) + "\n")
    files = folder.digests([*INPUTS, LOCK, CONFIG, DEEPSPEED])
    folder.begin(
        RunStart(
            created=_now(),
            skills=_run_skills(ready),
            files=files,
            lock=files.get(LOCK),
            model_digest=model_identity(ready.machine),
            adapter_digest=ready.machine.get("adapter_digest"),
            teachers=ready.machine.get("teachers", {}),
            settings={name: ready.machine[name] for name in (*SETTINGS, PROCESSES) if name in ready.machine},
            versions=_versions(),
        )
    )


def _recipe_text(recipe: Recipe, skills: Sequence[Skill]) -> str:
    document: Mapping[str, Any] = recipe.model_copy(
        update={"skills": recipe.skills or tuple(skill.name for skill in skills)}
    ).model_dump(mode="json")
    return yaml_text(document)

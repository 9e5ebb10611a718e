"""Evaluate the stages of a training run beside earlier arms, and write the run's report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from skillpm.errors import UsageError
from skillpm.evals.asking import ArmLabel
from skillpm.evals.assemble import assemble
from skillpm.evals.compare import merge
from skillpm.evals.figures import GRAMMAR, figures
from skillpm.evals.records import record
from skillpm.evals.report import render_report
from skillpm.evals.tasks import held_out_tasks, read_held_out
from skillpm.formats.document import Json, read_json_lines, typed_values
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.run import RunEvaluation, RunFigure, RunManifest, RunStage
from skillpm.model.skill import Skill
from skillpm.model.suite import HELD_OUT
from skillpm.model.task import Task
from skillpm.ops.context import Context
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.evaluate import Evaluated, Evaluator, Exam
from skillpm.ops.learning.report import read_evaluation, run_report
from skillpm.ops.learning.runs import project_path
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.storage.files import read_lines
from skillpm.train.card import cards
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import EVALUATION, RECIPE, ROWS, RunFolder


def evaluate_run(
    evaluator: Evaluator, skills: Sequence[Skill], run: Path, *, before: Path | None = None, with_base: bool = False
) -> Evaluated:
    """Evaluate every stage of a run on the skills' suites and on the tasks that the run held out.

    The run folder gets evals/TIME/evaluation.json and evals/TIME/report.html. ``trained_skills`` returns the skills of
    the run. ``before`` is an earlier evaluation, or a folder with one; by default the newest of the run with a base
    model. The base model is asked too with ``with_base``, or with ``skill_text`` of the evaluator.

    Raises:
        UsageError: there is no such run, it is unfinished, or the earlier evaluation shares no task with it.
        DocumentError: a document of the run or of a skill is wrong.
        TrainingError: no model can be loaded.
        InconclusiveError: a limit ended it before any answer.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    earlier = None if evaluator.asking.blind else _earlier(folder, before)
    _note_other_content(evaluator.context, manifest, {skill.name: skill.tree for skill in skills})
    names = {skill.name for skill in skills}
    held_out = (task for task in held_out_of(folder) if task.skill in names)
    with open_session(evaluator.context, skills) as session:
        evaluator.tell_of_blind_suites(session)
        exam = Exam.of(evaluator, session, held_out)
        with_base = with_base or evaluator.asking.skill_text or evaluator.asking.tool_schemas
        template = _template_arguments(folder)
        base = exam.base_arms(Answerer(manifest.model), template) if with_base else ()
        evaluation = exam.evaluation(chain(base, _stage_arms(exam, folder)))
    if earlier is not None:
        evaluation = _merged(earlier, evaluation)
    evaluation = evaluation.model_copy(update={"commands": _commands(evaluator, folder)})
    asked_all = evaluator.asking.limit is None and names >= {skill.name for skill in manifest.skills}
    whole = asked_all and not evaluator.asking.blind and not exam.examiner.interrupted
    report = store_evaluation(folder, evaluation, whole=whole)
    return Evaluated(evaluation, report, exam.examiner.interrupted)


def evaluate_trained(
    evaluator: Evaluator, session: JudgingSession, folder: RunFolder, recipe: Recipe
) -> Evaluated | None:
    """Evaluate a run that has just ended on tasks that it held out; None where nothing was asked.

    What its stages were answered that measure is there; the last adapter is asked unless the last of them did. Where
    that fails, the evaluation of the others is stored.

    Raises:
        TrainingError: the model cannot be loaded.
        KeyboardInterrupt: no answer had ended by then.
    """
    manifest, limit = folder.manifest, evaluator.asking.limit
    if not (held_out := held_out_of(folder)):
        return None
    measured = list(_measured_arms(session, folder, recipe))
    exam = Exam.of(evaluator, session, held_out, suites=False)

    def stored(arms: Sequence[Arm]) -> Evaluated | None:
        if not arms:
            return None
        answered = {item.task for arm in arms for item in arm.records}
        asked = [item for item in held_out_tasks(held_out) if item.task.key in answered]
        evaluation = assemble(session.contributions, asked, arms, exam.sizes)
        evaluation = evaluation.model_copy(update={"commands": _commands(evaluator, folder)})
        return Evaluated(evaluation, store_evaluation(folder, evaluation, whole=False), exam.examiner.interrupted)

    if not limit or manifest.stages[-1].adapter is None:
        return stored(measured)
    try:
        policy = evaluator.policy(manifest.model, folder.saved_adapter())
        label = ArmLabel(manifest.last, manifest.model, adapter=manifest.adapters[manifest.last])
        last = exam.asked(exam.arms(policy, label))
    except BaseException:
        stored(measured)
        raise
    return stored([*measured, *last])


def _measured_arms(session: JudgingSession, folder: RunFolder, recipe: Recipe) -> Iterator[Arm]:
    """Yield what stages that measure were answered, as arms of the stages that trained before them.

    Where several measured one adapter, it is the one that asked the most rows.
    """
    manifest, name, adapter = folder.manifest, "adapter" if recipe.adapter else "base", None
    shared = {key: manifest.settings[key] for key in _MACHINE if key in manifest.settings}
    arms: dict[str, Arm] = {}
    for stage, asked in zip(manifest.stages, recipe.stages, strict=True):
        if stage.answers is None:
            name, adapter = stage.name, stage.adapter
            continue
        path = folder.path / stage.answers
        episodes = [episode for _, episode in read_json_lines(Episode, read_lines(path), path=str(path))]
        if name in arms and len(arms[name].records) > len(episodes):
            continue
        judgements = session.scorer.judge(episodes)
        settings = asked.model_dump(mode="json", exclude={"kind", "name"}, exclude_none=True)
        arms[name] = Arm(
            name=name,
            model=manifest.model,
            adapter=adapter,
            settings={**settings, **shared},
            records=tuple(record(HELD_OUT, *pair) for pair in zip(episodes, judgements, strict=True)),
            seconds=stage.seconds,
        )
    yield from arms.values()


_MACHINE = ("dtype", "device", "threads", "model_digest")  # of a run's settings: what decides answers


def held_out_of(folder: RunFolder) -> Sequence[Task]:
    """Return the tasks that a run held out. Raises DocumentError, StorageError."""
    names = [skill.name for skill in folder.manifest.skills]
    path = folder.path / ROWS[HELD_OUT]
    return read_held_out(path, names) if path.is_file() and path.stat().st_size else ()


def _commands(evaluator: Evaluator, folder: RunFolder) -> tuple[str, ...]:
    recipe = folder.path / RECIPE
    typed = quote(str(project_path(evaluator.context.settings, recipe)))
    train = [f"skillpm train --recipe {typed}"] if recipe.is_file() else []
    return (*train, evaluator.command) if evaluator.command else tuple(train)


def trained_skills(context: Context, skills: Sequence[str], run: Path) -> list[Skill]:
    """Return the skills that are meant: those that were typed, else those that a finished run trained.

    Raises:
        UsageError: there is no such run or skill, or the run is unfinished.
    """
    folder = RunFolder.open(run)
    if sentence := folder.without_recipe:
        context.note(sentence)
    return context.skills(skills or _trained(folder))


def _recipe(folder: RunFolder) -> dict[str, Any]:
    return typed_values(folder.recipe) if (folder.path / RECIPE).is_file() else {}


def _template_arguments(folder: RunFolder) -> dict[str, Json] | None:
    """Return what the training called the chat template with; None for what is tried where nothing is said."""
    arguments = _recipe(folder).get("chat_template_kwargs")
    return arguments if isinstance(arguments, dict) and arguments else None


def _trained(folder: RunFolder) -> Sequence[str]:
    """Return the skills of a run as its recipe names them, which may be folders; else their names."""
    typed = _recipe(folder).get("skills")
    names = [skill.name for skill in folder.manifest.skills]
    return [str(text) for text in typed] if isinstance(typed, list) and len(typed) == len(names) else names


def _earlier(folder: RunFolder, before: Path | None) -> Evaluation | None:
    """Return the evaluation whose arms stand in front of the stages: a named one, else the newest of the run."""
    if before is not None:
        return read_evaluation(before)
    manifest = folder.manifest
    stages = {stage.name for stage in manifest.stages}
    newest_first = manifest.evaluations[::-1]
    ranked = [item for whole in (True, False) for item in newest_first if item.whole is whole]
    with_others = (
        item for item in ranked if any(figure.arm.removesuffix(GRAMMAR) not in stages for figure in item.figures)
    )
    return next((read_evaluation(folder.path / item.path) for item in with_others), None)


def _note_other_content(context: Context, manifest: RunManifest, trees: Mapping[str, str]) -> None:
    for skill in manifest.skills:
        if skill.name in trees and trees[skill.name] != skill.tree:
            context.note(
                f"{skill.name} has changed since the run, which trained on {skill.version} ({skill.tree[:12]})"
            )


def _stage_arms(exam: Exam, folder: RunFolder) -> Iterator[Arm]:
    """Ask the model as it was after each stage; blind tasks, as it is after the last one."""
    manifest = folder.manifest
    if not manifest.adapters:
        raise UsageError(f"the run {folder.path} has no stage", hint="train with at least one stage")
    asked: list[Arm] = []
    before = ""
    for stage in manifest.stages:
        if stage.adapter is None or (exam.evaluator.asking.blind and stage.name != manifest.last):
            continue
        adapter = folder.saved_adapter(stage.adapter)
        if asked and not stage.kept:  # its adapter is the one before, so its greedy answers are
            asked = [_renamed(arm, before, stage) for arm in asked]
            yield from asked
        else:
            policy = exam.evaluator.policy(manifest.model, adapter)
            label = ArmLabel(stage.name, manifest.model, adapter=stage.adapter)
            asked = []
            for arm in exam.arms(policy, label):
                asked.append(arm)
                yield arm
        before = stage.name


def _renamed(arm: Arm, before: str, stage: RunStage) -> Arm:
    """Return the arm of an earlier stage as that of a later one, which has the same adapter."""
    name = stage.name + arm.name.removeprefix(before)
    return arm.model_copy(update={"name": name, "adapter": stage.adapter, "seconds": 0.0})


def _merged(earlier: Evaluation, evaluation: Evaluation) -> Evaluation:
    merged = merge(earlier, evaluation)
    fresh = {arm.name for arm in evaluation.arms}
    if not any(arm.name not in fresh for arm in merged.arms) and any(arm.name not in fresh for arm in earlier.arms):
        raise UsageError(
            "the earlier evaluation shares no task with this one",
            hint="evaluate before on the same skills and the same held-out file, or use --with-base",
        )
    return merged


def store_evaluation(folder: RunFolder, evaluation: Evaluation, *, whole: bool) -> Path:
    """Add an evaluation to a run, beside the earlier ones, and return its page.

    The card and the page of the run show it too, unless it is partial and a whole one is there.
    """
    name = folder.new_evaluation()
    entry = RunEvaluation(path=name, whole=whole, figures=tuple(_run_figures(evaluation)))
    page = render_report(run_report(folder, evaluation))
    texts: dict[str, Iterable[str]] = {f"{name}/{EVALUATION}": evaluation.chunks(), f"{name}/report.html": page}
    manifest = folder.add(texts, lambda now: now.model_copy(update={"evaluations": (*now.evaluations, entry)}))
    if manifest.shown_evaluation != entry:
        return folder.path / name / "report.html"
    folder.add({"report.html": page, **cards(manifest)})
    return folder.path / "report.html"


def _run_figures(evaluation: Evaluation) -> Iterator[RunFigure]:
    for row in figures(evaluation):
        for arm, cell in row.cells.items():
            share = cell.exact
            shown = {} if share is None else {"exact": share.estimate, "low": share.low, "high": share.high}
            place = row.task_set
            yield RunFigure(skill=place.skill, task_set=place.name, arm=arm, tasks=cell.tasks, **shown)

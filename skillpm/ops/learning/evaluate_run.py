"""Evaluate the stages of a training run beside earlier arms, and write the run's report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.evals.assemble import assemble
from skillpm.evals.compare import merge
from skillpm.evals.gate import check_gates
from skillpm.evals.report import render_report
from skillpm.evals.tasks import EvalTask, read_held_out
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.ports import Progress
from skillpm.model.run import RunManifest
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.evaluate import Asking, Evaluated, ask, base_arms, chosen_tasks
from skillpm.ops.learning.models import PolicyFactory, PolicyRequest, load_policy
from skillpm.ops.learning.run_report import run_report
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.storage.files import read_text
from skillpm.train.run_folder import RunFolder


def evaluate_run(
    context: Context,
    skills: Sequence[str],
    run: Path,
    *,
    asking: Asking,
    progress: Progress,
    before: Path | None = None,
    with_base: bool = False,
    policies: PolicyFactory = load_policy,
) -> Evaluated:
    """Evaluate every stage of a run on the skills' suites and on the tasks that the run held out.

    Args:
        context: where skills are found.
        skills: what a person typed; those that the run trained where empty.
        run: a finished run folder; gets evals/after.json, evals/before.json and report.html.
        asking: how policies are asked; ``skill_text`` asks the base model so, too.
        progress: told of every answer.
        before: an earlier evaluation, or a folder with one; the run's own evals/before.json where None.
        with_base: ask the base model, too.
        policies: makes the policies.

    Raises:
        UsageError: there is no such run, it is unfinished, or the earlier evaluation shares no task with it.
        DocumentError: a document of the run or of a skill is wrong.
        ConsentError: skill code would run that nobody agreed to.
        TrainingError: no model can be loaded.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    earlier = _earlier(folder, before)
    found = trained_skills(context, skills, run)
    _note_other_content(context, manifest, {skill.name: skill.tree for skill in found})
    path = run / "data" / "held_out.jsonl"
    held_out = read_held_out(path, [skill.name for skill in manifest.skills]) if _has_rows(path) else []
    names = {skill.name for skill in found}
    with open_session(context, found) as session:
        tasks = chosen_tasks(session, [task for task in held_out if task.skill in names], asking.limit)
        arms = _arms(context, folder, manifest, session, tasks, asking, progress, policies, with_base=with_base)
        evaluation = assemble(session.contributions, tasks, arms)
    if earlier is not None:
        evaluation = _merged(earlier, evaluation)
    return _write(folder, manifest, evaluation, before)


def trained_skills(context: Context, skills: Sequence[str], run: Path) -> list[Skill]:
    """Return the skills that are meant: those that were typed, else those that a finished run trained.

    Raises:
        UsageError: there is no such run or skill, or the run is unfinished.
    """
    return context.skills(skills or [skill.name for skill in RunFolder.open(run).manifest.skills])


def read_evaluation(path: Path) -> Evaluation:
    """Read an evaluation from its file, or from the folder that holds evaluation.json.

    Raises:
        UsageError: there is none.
        DocumentError: it is not an evaluation.
    """
    file = path / "evaluation.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"no evaluation at {file}", hint="`skillpm eval … --output DIR` writes one")
    return Evaluation.parse(read_text(file), path=str(file))


def _earlier(folder: RunFolder, before: Path | None) -> Evaluation | None:
    own = folder.path / "evals" / "before.json"
    if before is None:
        return read_evaluation(own) if own.is_file() else None
    return read_evaluation(before)


def _note_other_content(context: Context, manifest: RunManifest, trees: Mapping[str, str]) -> None:
    for skill in manifest.skills:
        if skill.name in trees and trees[skill.name] != skill.tree:
            context.note(
                f"{skill.name} has changed since the run, which trained on {skill.version} ({skill.tree[:12]})"
            )


def _has_rows(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _arms(
    context: Context,
    folder: RunFolder,
    manifest: RunManifest,
    session: JudgingSession,
    tasks: Sequence[EvalTask],
    asking: Asking,
    progress: Progress,
    policies: PolicyFactory,
    *,
    with_base: bool,
) -> list[Arm]:
    model = manifest.model
    arms: list[Arm] = []
    if with_base or asking.skill_text:
        policy = policies(PolicyRequest(model, None, asking.batch_size), context.settings)
        arms += base_arms(policy, model, session, tasks, asking, progress)
    stages: list[Arm] = []
    for stage in manifest.stages:
        adapter = folder.path / stage.adapter
        if not adapter.is_dir():
            raise UsageError(f"the run has no adapter at {adapter}", hint="the folder is damaged: train again")
        if stages and not stage.kept:  # its adapter is the one before, so its greedy answers are
            stages.append(stages[-1].model_copy(update={"name": stage.name, "adapter": stage.adapter, "seconds": 0.0}))
            continue
        policy = policies(PolicyRequest(model, adapter, asking.batch_size), context.settings)
        stages.append(
            ask(policy, session, tasks, asking, progress, name=stage.name, model=model, adapter=stage.adapter)
        )
    if not stages:
        raise UsageError(f"the run {folder.path} has no stage", hint="train with at least one stage")
    return arms + stages


def _merged(earlier: Evaluation, evaluation: Evaluation) -> Evaluation:
    merged = merge(earlier, evaluation)
    fresh = {arm.name for arm in evaluation.arms}
    if not any(arm.name not in fresh for arm in merged.arms) and any(arm.name not in fresh for arm in earlier.arms):
        raise UsageError(
            "the earlier evaluation shares no task with this one",
            hint="evaluate before on the same skills and the same held-out file, or use --with-base",
        )
    return merged


def _write(folder: RunFolder, manifest: RunManifest, evaluation: Evaluation, before: Path | None) -> Evaluated:
    stages = {stage.name for stage in manifest.stages}
    earlier = tuple(arm for arm in evaluation.arms if arm.name not in stages)
    later = tuple(arm for arm in evaluation.arms if arm.name in stages)
    written: dict[str, str] = {}
    if earlier:
        written["evals/before.json"] = evaluation.model_copy(update={"arms": earlier}).text()
    written["evals/after.json"] = evaluation.model_copy(update={"arms": later}).text()
    written["report.html"] = render_report(run_report(folder, manifest, evaluation, before))
    for name, text in written.items():
        folder.write(name, text)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in written.items()}
    complete = manifest.model_copy(update={"files": dict(sorted({**manifest.files, **digests}.items()))})
    folder.write("manifest.json", complete.model_dump_json(indent=2, exclude_none=True) + "\n")
    gates = tuple(check_gates(evaluation, evaluation.arms[-1].name))
    return Evaluated(evaluation, gates, folder.path / "report.html")

"""Evaluate the stages of a training run beside earlier arms, and write the run's report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.evals.assemble import assemble
from skillpm.evals.compare import merge
from skillpm.evals.curves import learning_curves
from skillpm.evals.examiner import ArmLabel
from skillpm.evals.report import ReportData, Setting, render_report
from skillpm.evals.tasks import EvalTask, read_held_out
from skillpm.formats.document import read_model
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.run import RunManifest
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.evaluate import Evaluated, Evaluator, chosen_tasks
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.storage.files import read_text
from skillpm.synth.profile import Profile, SkillProfile, SplitProfile
from skillpm.train.base_model import KNOWN_MODELS
from skillpm.train.run_folder import RunFolder

_INPUTS = ("skillpm.lock", "recipe.yaml", "data/train.jsonl", "data/held_out.jsonl")


def evaluate_run(
    evaluator: Evaluator,
    skills: Sequence[Skill],
    run: Path,
    *,
    before: Path | None = None,
    with_base: bool = False,
) -> Evaluated:
    """Evaluate every stage of a run on the skills' suites and on the tasks that the run held out.

    Args:
        evaluator: how; with ``skill_text`` the base model is asked, too.
        skills: which; ``trained_skills`` returns those of the run.
        run: a finished run folder; gets evals/after.json, evals/before.json and report.html.
        before: an earlier evaluation, or a folder with one; the run's own evals/before.json where None.
        with_base: ask the base model, too.

    Raises:
        UsageError: there is no such run, it is unfinished, or the earlier evaluation shares no task with it.
        DocumentError: a document of the run or of a skill is wrong.
        ConsentError: skill code would run that nobody agreed to.
        TrainingError: no model can be loaded.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    earlier = _earlier(folder, before)
    _note_other_content(evaluator.context, manifest, {skill.name: skill.tree for skill in skills})
    path = run / "data" / "held_out.jsonl"
    held_out = read_held_out(path, [skill.name for skill in manifest.skills]) if _has_rows(path) else []
    names = {skill.name for skill in skills}
    with open_session(evaluator.context, skills) as session:
        tasks = chosen_tasks(session, [task for task in held_out if task.skill in names], evaluator.asking)
        with_base = with_base or evaluator.asking.skill_text or evaluator.asking.tool_schemas
        base = evaluator.base_arms(session, tasks, manifest.model) if with_base else []
        evaluation = assemble(session.contributions, tasks, base + _stage_arms(evaluator, folder, session, tasks))
    if earlier is not None:
        evaluation = _merged(earlier, evaluation)
    _write(folder, manifest, evaluation, before)
    return Evaluated(evaluation, folder.path / "report.html")


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
    known = KNOWN_MODELS.get(manifest.model)
    if known is not None and manifest.model_digest not in (None, known.sha256):
        context.note(f"{manifest.model} has changed since the run, which trained {str(manifest.model_digest)[:12]}")


def _has_rows(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _stage_arms(
    evaluator: Evaluator, folder: RunFolder, session: JudgingSession, tasks: Sequence[EvalTask]
) -> list[Arm]:
    """Ask the model as it was after each stage."""
    manifest, examiner = folder.manifest, evaluator.examiner(session)
    arms: list[Arm] = []
    for stage in manifest.stages:
        adapter = folder.saved_adapter(stage.adapter)
        if arms and not stage.kept:  # its adapter is the one before, so its greedy answers are
            arms.append(arms[-1].model_copy(update={"name": stage.name, "adapter": stage.adapter, "seconds": 0.0}))
            continue
        policy = evaluator.policy(manifest.model, adapter)
        arms.append(examiner.ask(policy, tasks, ArmLabel(stage.name, manifest.model, adapter=stage.adapter)))
    if not arms:
        raise UsageError(f"the run {folder.path} has no stage", hint="train with at least one stage")
    return arms


def _merged(earlier: Evaluation, evaluation: Evaluation) -> Evaluation:
    merged = merge(earlier, evaluation)
    fresh = {arm.name for arm in evaluation.arms}
    if not any(arm.name not in fresh for arm in merged.arms) and any(arm.name not in fresh for arm in earlier.arms):
        raise UsageError(
            "the earlier evaluation shares no task with this one",
            hint="evaluate before on the same skills and the same held-out file, or use --with-base",
        )
    return merged


def _write(folder: RunFolder, manifest: RunManifest, evaluation: Evaluation, before: Path | None) -> None:
    stages = {stage.name for stage in manifest.stages}
    earlier = tuple(arm for arm in evaluation.arms if arm.name not in stages)
    later = tuple(arm for arm in evaluation.arms if arm.name in stages)
    texts: dict[str, str] = {}
    if earlier:
        texts["evals/before.json"] = evaluation.model_copy(update={"arms": earlier}).text()
    texts["evals/after.json"] = evaluation.model_copy(update={"arms": later}).text()
    texts["report.html"] = render_report(_report(folder, manifest, evaluation, before))
    folder.add(texts)


def _report(folder: RunFolder, manifest: RunManifest, evaluation: Evaluation, before: Path | None) -> ReportData:
    settings = [
        Setting("run", folder.path.resolve().name),
        Setting("created", manifest.created),
        Setting("seed", str(manifest.seed)),
        *(Setting(f"stage {stage.name}", f"{stage.steps} steps, {stage.seconds:.0f} s") for stage in manifest.stages),
        *(Setting(name, manifest.files[name]) for name in _INPUTS if name in manifest.files),
    ]
    earlier = f" --before {before}" if before else ""
    return ReportData(
        title=f"{manifest.name}: {', '.join(skill.name for skill in manifest.skills)}",
        evaluation=evaluation,
        settings=tuple(settings),
        curves=learning_curves(_metrics(folder.path / "metrics.jsonl")),
        profile=_profile(folder.path / "data" / "profile.json"),
        recipe=_text(folder.path / "recipe.yaml"),
        commands=("skillpm train --recipe recipe.yaml", f"skillpm eval --run RUN{earlier}"),
    )


def _text(path: Path) -> str:
    return read_text(path) if path.is_file() else ""


def _metrics(path: Path) -> list[Mapping[str, Any]]:
    """Read the rows of metrics.jsonl; a line that a crash cut short is left out."""
    rows: list[Mapping[str, Any]] = []
    for line in _text(path).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _profile(path: Path) -> dict[str, tuple[Setting, ...]]:
    text = _text(path)
    if not text:
        return {}
    profile = read_model(Profile, text, path=str(path))
    return {name: tuple(_skill_lines(skill)) for name, skill in profile.skills.items()}


def _skill_lines(skill: SkillProfile) -> list[Setting]:
    held_out = [f"{name} {pool.held_out:,}" for name, pool in skill.pools.items() if pool.held_out and not pool.shared]
    lines = [
        Setting("training", _split(skill.train)),
        Setting("held out", _split(skill.held_out)),
        Setting("held-out values", ", ".join(held_out) or "none"),
    ]
    if skill.phrasings:
        learned, unseen = (sum(counts[side] for counts in skill.phrasings.values()) for side in (0, 1))
        lines.append(Setting("phrasings", f"{learned:,} to learn from, {unseen:,} held out"))
    reasons = {**skill.held_out.rejected, **skill.train.rejected}
    lines += [Setting("thrown away", f"{reason}: {count:,}") for reason, count in list(reasons.items())[:4]]
    return [*lines, *(Setting("note", note) for note in skill.notes)]


def _split(split: SplitProfile) -> str:
    middle = split.request_characters.p50
    return f"{split.rows:,} rows, {split.distinct_targets:,} distinct answers, requests of {middle} characters (median)"

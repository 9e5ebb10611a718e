"""``skillpm improve``: one round from what happened in use to a better adapter, or to the one that was there before.

A round trains on from a run's adapter, on what people approved and edited and on fresh rows of the rules, more of those
that were answered wrongly. The old and the new adapter then answer the same tasks, and the gate decides. Until it does,
the new run stands in ``candidates/`` beside ``runs/``, where no command takes it for the newest run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from skillpm.errors import UsageError
from skillpm.evals.asking import ArmLabel
from skillpm.evals.compare import Comparison
from skillpm.evals.decision import Decision
from skillpm.evals.failures import wrong
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.ops.context import Context
from skillpm.ops.learning.compare import ChosenArm, compare_arms, decide_candidate
from skillpm.ops.learning.evaluate import Evaluator, Exam
from skillpm.ops.learning.evaluate_run import held_out_of, store_evaluation, trained_skills
from skillpm.ops.learning.report import read_evaluation
from skillpm.ops.learning.runs import run_word
from skillpm.ops.learning.session import open_session
from skillpm.ops.learning.synth import count_traces, read_tasks
from skillpm.ops.learning.train import stored_recipe, train
from skillpm.storage.files import DiskErrors
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import ROWS, RunFolder

BEFORE = "before"  # the arm of the run that is to be improved


@dataclass(frozen=True, slots=True)
class Round:
    """What one round begins with.

    Attributes:
        run: the folder of the run that is to be improved.
        recipe: of the new run.
        traces: answers that a person approved or edited and that would train, by skill.
        failures: wrong answers in the run's evaluation, by skill and tool; None where it was never evaluated.
    """

    run: Path
    recipe: Recipe
    traces: Mapping[str, int]
    failures: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Improved:
    """What one round came to.

    Attributes:
        folder: of the new run: in ``runs`` if it is kept, else in ``candidates``.
        comparisons: of the old adapter with the new one, one for each task set.
    """

    folder: Path
    kept: bool
    decision: Decision
    comparisons: tuple[Comparison, ...]


def plan_round(context: Context, run: Path, changes: Sequence[str] = ()) -> Round:
    """Work out what a round would learn from; nothing is written.

    ``changes`` are of the run's recipe, as ``train --set`` takes them.

    Raises:
        UsageError: there is no such run, it trained a whole model, or there is nothing to learn from.
        DocumentError: a document of the run is wrong.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    if manifest.tune == "full":
        raise UsageError(f"{run} trained a whole model", hint="a round continues an adapter; train with `tune: lora`")
    wrong, word = _failures(folder), json.dumps(run_word(context.settings, run))
    failures = (f"data.failures={word}",) if wrong else ('data.failures=""',)
    own = (*failures, f"adapter={word}", f"seed={manifest.seed + 1}", "data.evaluate=0")
    recipe = stored_recipe(context, folder.path, (*own, "data.traces=true", *changes))
    recipe = recipe.model_copy(update={"skills": recipe.skills or tuple(skill.name for skill in manifest.skills)})
    traces = {skill.name: count_traces(context, skill) for skill in trained_skills(context, (), folder.path)}
    if not any(traces.values()) and not wrong:
        what = "it was never evaluated" if wrong is None else "every answer of its evaluation is right"
        hint = f"use it with `skillpm run`, or run `skillpm eval --run {quote(run_word(context.settings, run))}`"
        raise UsageError(f"there is nothing to learn from: no answer was approved, and {what}", hint=hint)
    return Round(folder.path, recipe, traces, wrong)


def improve(evaluator: Evaluator, chosen: Round, margin: float) -> Improved:
    """Train, ask the old and the new adapter the same tasks, and keep the new run if the gate says GO.

    ``margin`` is the share of exact answers that the new adapter may lose.

    Raises:
        SkillpmError: whatever ``train`` and ``evaluate_run`` raise; the run that was there before is as it was.
        KeyboardInterrupt: the new run stays among the candidates, as it says.
    """
    context = evaluator.context
    runs = context.settings.runs
    trained = train(context, chosen.recipe, progress=evaluator.progress, runs=runs.with_name("candidates"))
    before, after = RunFolder.open(chosen.run), RunFolder(trained.folder)
    try:
        evaluation = _paired(evaluator, before, after)
    except KeyboardInterrupt:
        stands = f"the new run stands in {after.path}, {chosen.run.name} answers as before"
        raise KeyboardInterrupt(f"{stands}; the same command begins a new round") from None
    store_evaluation(after, evaluation, whole=evaluator.asking.limit is None)
    old, new = (ChosenArm(after.path, evaluation, arm) for arm in evaluation.arms)
    decision = decide_candidate(new, old, margin)
    folder, kept = after.path, decision.word == "GO"
    if kept:
        with DiskErrors("move", folder):
            folder = folder.rename(runs / folder.name)
    return Improved(folder, kept, decision, compare_arms(old, new).comparisons)


def _failures(folder: RunFolder) -> Counter[str] | None:
    """Count the wrong answers of the last stage, by skill and tool; None where it was never asked anything."""
    shown = folder.shown_evaluation
    if shown is None:
        return None
    evaluation = read_evaluation(shown)
    counts = Counter[str]()
    for profile, count in wrong(outcomes_of(evaluation.arms[-1])).counts.items() if evaluation.arms else ():
        counts[f"{profile.skill} {profile.expected}".strip()] += count
    return counts


def _paired(evaluator: Evaluator, before: RunFolder, after: RunFolder) -> Evaluation:
    """Ask both adapters the suites and what the new run held out, without the requests that the old one learned."""
    learned = {task.request for task in read_tasks(before.path / ROWS["train"])}
    held_out = (task for task in held_out_of(after) if task.request not in learned)
    manifest, context = after.manifest, evaluator.context
    with open_session(context, trained_skills(context, (), after.path)) as session:
        exam = Exam.of(evaluator, session, held_out)
        named = ((BEFORE, before), (manifest.last, after))

        def asked(name: str, run: RunFolder) -> Arm:  # its model is gone before the next one is loaded
            policy = evaluator.policy(manifest.model, run.saved_adapter())
            return exam.examiner.ask(policy, exam.tasks, ArmLabel(name, manifest.model))

        evaluation = exam.evaluation(asked(name, run) for name, run in named)
        if exam.examiner.interrupted:
            raise KeyboardInterrupt
        return evaluation

"""Answer tasks from outside with a model or a run: each completion, its argv and, where it can be had, its verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import UsageError
from skillpm.evals.answers import answer
from skillpm.evals.assemble import assemble
from skillpm.evals.figures import figures
from skillpm.evals.summary import figures_document
from skillpm.evals.tasks import outside_tasks, read_task_rows, with_skill_text
from skillpm.model.evaluation import Evaluation, TaskAnswer
from skillpm.model.ports import Progress
from skillpm.ops.context import Context
from skillpm.ops.learning.evaluate import Asking
from skillpm.ops.learning.models import PolicyFactory, PolicyRequest, find_policy, load_policy
from skillpm.ops.learning.session import open_session
from skillpm.storage.files import write_atomic
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered.

    Attributes:
        answers: one for each row, in order.
        evaluation: of the rows that say what is expected; None where none does.
        summary: the document that was written.
        output: the folder that was written.
    """

    answers: tuple[TaskAnswer, ...]
    evaluation: Evaluation | None
    summary: dict[str, Any]
    output: Path


def answer_rows(
    context: Context,
    skills: Sequence[str],
    tasks: Path,
    *,
    asking: Asking,
    progress: Progress,
    output: Path,
    model: str | None = None,
    run: Path | None = None,
    policies: PolicyFactory = load_policy,
) -> Answered:
    """Answer rows ``{id?, request, expected?}`` of one skill and write completions.jsonl and summary.json.

    Args:
        context: where skills are found.
        skills: what a person typed: exactly one.
        tasks: JSON Lines.
        asking: how the policy is asked; with ``skill_text`` the skill's text stands in the prompt.
        progress: told of every answer.
        output: a new folder.
        model: who answers, or
        run: whose last adapter answers.
        policies: makes the policy.

    Raises:
        UsageError: not one skill, no such file, or the output exists.
        DocumentError: a row is wrong.
        ConsentError: skill code would run that nobody agreed to.
        TrainingError: no model can be loaded.
    """
    if len(skills) != 1:
        raise UsageError("tasks from outside belong to one skill", hint="skillpm eval SKILL --tasks FILE.jsonl …")
    request = _request(context, model, run, asking.batch_size)
    rows = read_task_rows(tasks)[: asking.limit]
    found = context.skills(skills)
    with whole_folder(output) as folder, open_session(context, found) as session:
        contributions = session.contributions[found[0].name]
        asked = outside_tasks(contributions, rows, path=str(tasks))
        if asking.skill_text:
            asked = with_skill_text(asked, {found[0].name: contributions.skill_text})
        answers, arm = answer(
            policies(request, context.settings),
            [row for _, row in rows],
            asked,
            session.scorer.judge,
            contributions.contract,
            max_new_tokens=asking.max_new_tokens,
            progress=progress,
            prefetch=session.scorer.prefetch,
        )
        arm = arm.model_copy(update={"model": request.model, "skill_text": asking.skill_text})
        judged = [task for task in asked if task.task.expected is not None]
        evaluation = assemble(session.contributions, judged, [arm]) if judged else None
        summary = _summary(request, answers, evaluation)
        write_atomic(folder / "completions.jsonl", "".join(f"{item.model_dump_json()}\n" for item in answers))
        write_atomic(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    return Answered(answers, evaluation, summary, output)


def _request(context: Context, model: str | None, run: Path | None, batch_size: int) -> PolicyRequest:
    if run is None:
        if model is None:
            raise UsageError("nobody to answer", hint="give `--model M` or `--run RUN`")
        find_policy(model, context.settings)
        return PolicyRequest(model, None, batch_size)
    folder = RunFolder.open(run)
    adapter = folder.path / "adapter"
    if not adapter.is_dir():
        raise UsageError(f"the run has no adapter at {adapter}", hint="the folder is damaged: train again")
    return PolicyRequest(folder.manifest.model, adapter, batch_size)


def _summary(request: PolicyRequest, answers: Sequence[TaskAnswer], evaluation: Evaluation | None) -> dict[str, Any]:
    return {
        "model": request.model,
        "adapter": None if request.adapter is None else str(request.adapter),
        "tasks": len(answers),
        "truncated": sum(item.finish_reason == "length" for item in answers),
        "runnable": sum(item.argv is not None for item in answers),
        "figures": [] if evaluation is None else figures_document(figures(evaluation)),
    }

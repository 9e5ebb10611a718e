"""Evaluate a model on skills' suites and on held-out tasks: bare, and with the skills' text in its prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import DocumentError, UsageError
from skillpm.evals.assemble import assemble
from skillpm.evals.gate import GateResult, check_gates
from skillpm.evals.report import ReportData, render_report
from skillpm.evals.run import evaluate
from skillpm.evals.tasks import EvalTask, held_out_tasks, read_held_out, suite_tasks, with_skill_text
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.ports import Policy, Progress
from skillpm.model.task import Task
from skillpm.ops.context import Context
from skillpm.ops.learning.models import PolicyFactory, PolicyRequest, find_policy, load_policy
from skillpm.ops.learning.session import JudgingSession, open_session
from skillpm.storage.files import write_atomic
from skillpm.storage.whole_folder import whole_folder


@dataclass(frozen=True, slots=True)
class Asking:
    """How policies are asked.

    Attributes:
        max_new_tokens: after so many tokens an answer is cut off.
        batch_size: prompts completed at once.
        limit: the first so many tasks of each task set, all where None.
        skill_text: also ask the base model with the skills' text in the prompt.
    """

    max_new_tokens: int = 128
    batch_size: int = 16
    limit: int | None = None
    skill_text: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What an arm records beside ``max_new_tokens``."""
        return {"batch_size": self.batch_size, **({} if self.limit is None else {"limit": self.limit})}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation gave.

    Attributes:
        evaluation: every arm.
        gates: every gate, held against the last arm.
        report: where report.html was written, or None.
    """

    evaluation: Evaluation
    gates: tuple[GateResult, ...]
    report: Path | None


def evaluate_model(
    context: Context,
    skills: Sequence[str],
    model: str,
    *,
    asking: Asking,
    progress: Progress,
    held_out: Path | None = None,
    output: Path | None = None,
    policies: PolicyFactory = load_policy,
) -> Evaluated:
    """Evaluate a base model on skills' suites, and on held-out tasks where a file of them is given.

    Args:
        context: where skills are found.
        skills: what a person typed; all installed ones where empty.
        model: a name that skillpm knows, a folder, or a hub id.
        asking: how it is asked.
        progress: told of every answer.
        held_out: JSON Lines of Tasks.
        output: a new folder for evaluation.json and report.html.
        policies: makes the policy.

    Raises:
        UsageError: there is no such model or file, nothing to ask, or the output exists.
        DocumentError: a row or a suite is wrong.
        ConsentError: skill code would run that nobody agreed to.
        TrainingError: no model can be loaded.
    """
    find_policy(model, context.settings)
    found = context.skills(skills)
    rows = [] if held_out is None else read_held_out(held_out, [skill.name for skill in found])
    with (
        whole_folder(output) if output else nullcontext() as folder,
        open_session(context, found) as session,
    ):
        tasks = chosen_tasks(session, rows, asking.limit)
        policy = policies(PolicyRequest(model, None, asking.batch_size), context.settings)
        arms = base_arms(policy, model, session, tasks, asking, progress)
        evaluation = assemble(session.contributions, tasks, arms)
        if folder is not None:
            write_atomic(folder / "evaluation.json", evaluation.text())
            title = f"{model} on {', '.join(skill.name for skill in evaluation.skills)}"
            report = ReportData(title, evaluation, commands=(_command(evaluation, model, asking),))
            write_atomic(folder / "report.html", render_report(report))
    gates = tuple(check_gates(evaluation, evaluation.arms[-1].name))
    return Evaluated(evaluation, gates, output / "report.html" if output else None)


def chosen_tasks(session: JudgingSession, held_out: Sequence[Task], limit: int | None) -> list[EvalTask]:
    """Return the tasks of all suites and the held-out ones, of each task set the first ``limit``.

    Raises:
        DocumentError: a suite is empty, or an expected answer breaks its contract.
        UsageError: there is no task at all.
    """
    tasks: list[EvalTask] = []
    for contributions in session.contributions.values():
        for suite in contributions.suites:
            if not suite.tasks:
                raise DocumentError("a suite without tasks", path=f"{contributions.skill.name}/suites/{suite.name}")
        tasks += suite_tasks(contributions)
    tasks += held_out_tasks(held_out)
    if not tasks:
        raise UsageError(
            f"nothing to ask: {', '.join(session.contributions)} have no suite",
            hint="write suites/*.yaml, or give `--held-out FILE.jsonl`",
        )
    return tasks if limit is None else _first_of_each(tasks, limit)


def _first_of_each(tasks: Sequence[EvalTask], limit: int) -> list[EvalTask]:
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for task in tasks:
        place = (task.task.skill, task.suite)
        taken[place] += 1
        if taken[place] <= limit:
            chosen.append(task)
    return chosen


def base_arms(
    policy: Policy, model: str, session: JudgingSession, tasks: Sequence[EvalTask], asking: Asking, progress: Progress
) -> list[Arm]:
    """Ask the base model, and again with the skills' text where that is wanted."""
    arms = [ask(policy, session, tasks, asking, progress, name="base", model=model)]
    if asking.skill_text:
        texts = {name: item.skill_text for name, item in session.contributions.items()}
        with_text = with_skill_text(tasks, texts)
        arms.append(ask(policy, session, with_text, asking, progress, name="base+skill", model=model, skill_text=True))
    return arms


def ask(
    policy: Policy,
    session: JudgingSession,
    tasks: Sequence[EvalTask],
    asking: Asking,
    progress: Progress,
    *,
    name: str,
    model: str,
    skill_text: bool = False,
    adapter: str | None = None,
) -> Arm:
    """Return one arm: every task asked once and judged."""
    return evaluate(
        policy,
        tasks,
        session.scorer.judge,
        name=name,
        max_new_tokens=asking.max_new_tokens,
        progress=progress,
        prefetch=session.scorer.prefetch,
        model=model,
        skill_text=skill_text,
        adapter=adapter,
        settings=asking.settings,
    )


def _command(evaluation: Evaluation, model: str, asking: Asking) -> str:
    names = " ".join(skill.name for skill in evaluation.skills)
    return f"skillpm eval {names} --model {model}{' --skill-text' if asking.skill_text else ''}"

"""Answer tasks from outside with a model or a run: each completion, its argv and, where it can be had, its verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.evals.answers import judge_where_expected, task_answer
from skillpm.evals.assemble import assemble
from skillpm.evals.examiner import ArmLabel, Examiner
from skillpm.evals.figures import figures
from skillpm.evals.kinds import kind_figures
from skillpm.evals.summary import figures_document, kinds_document
from skillpm.evals.tasks import outside_tasks, read_task_rows, sample, with_skill_text, with_tool_schemas
from skillpm.model.evaluation import Evaluation, TaskAnswer
from skillpm.model.skill import Skill
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.session import open_session
from skillpm.storage.files import write_atomic
from skillpm.storage.whole_folder import whole_folder


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered.

    Attributes:
        answers: one for each row, in order.
        evaluation: of the rows that say what is expected; None where none does.
        summary: the document that was written.
        output: the folder that was written.
        interrupted: did Ctrl-C end it? The rows that were not answered are left out.
    """

    answers: tuple[TaskAnswer, ...]
    evaluation: Evaluation | None
    summary: dict[str, Any]
    output: Path
    interrupted: bool = False


def answer_rows(evaluator: Evaluator, skill: Skill, tasks: Path, answerer: Answerer, output: Path) -> Answered:
    """Answer rows ``{id?, request, expected?}`` of one skill and write completions.jsonl and summary.json.

    The tasks are JSON Lines. With ``skill_text`` of the evaluator, the skill's text stands in the prompt.

    Raises:
        UsageError: there is no such model or file, or the output exists.
        DocumentError: a row is wrong.
        TrainingError: no model can be loaded.
    """
    asking = evaluator.asking
    numbered = read_task_rows(tasks)
    with whole_folder(output) as folder, open_session(evaluator.context, [skill]) as session:
        contributions, scorer = session.contributions[skill.name], session.scorer
        eval_tasks = outside_tasks(contributions, numbered, path=str(tasks))
        if asking.limit is not None:
            chosen = sample(eval_tasks, asking.limit, asking.seed)
            numbered, eval_tasks = [numbered[at] for at in chosen], [eval_tasks[at] for at in chosen]
        if asking.tool_schemas:
            eval_tasks = with_tool_schemas(eval_tasks, {skill.name: contributions.contract})
        if asking.skill_text:
            eval_tasks = with_skill_text(eval_tasks, {skill.name: contributions.skill_text})
        judge = judge_where_expected(scorer.judge, contributions.contract)
        contracts = {skill.name: contributions.contract}
        examiner = Examiner(judge, scorer.prefetch, asking, evaluator.progress, contracts, evaluator.remember)
        policy = evaluator.policy(answerer.model, answerer.adapter)
        arm = examiner.ask(
            policy, eval_tasks, ArmLabel("answers", answerer.model, asking.skill_text, asking.tool_schemas)
        )
        if examiner.interrupted and not examiner.answered:
            raise KeyboardInterrupt
        rows = [numbered[at][1] for at in examiner.answered]
        repeated = asking.repeats > 1
        answers = tuple(
            task_answer(row, record, repeated=repeated) for row, record in zip(rows, arm.records, strict=True)
        )
        judged = [task for task in eval_tasks if task.task.expected is not None]
        expecting = (record for record in arm.records if record.expected is not None)
        arm = arm.model_copy(update={"records": tuple(expecting)})
        evaluation = assemble(session.contributions, judged, [arm]) if arm.records else None
        summary = _summary(answerer, answers, evaluation) | {"settings": arm.settings}
        write_atomic(folder / "completions.jsonl", "".join(f"{item.model_dump_json()}\n" for item in answers))
        write_atomic(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    return Answered(answers, evaluation, summary, output, examiner.interrupted)


def _summary(answerer: Answerer, answers: Sequence[TaskAnswer], evaluation: Evaluation | None) -> dict[str, Any]:
    return {
        "model": answerer.model,
        "adapter": None if answerer.adapter is None else str(answerer.adapter),
        "tasks": len(answers),
        "truncated": sum(item.finish_reason == "length" for item in answers),
        "too_long": sum(item.finish_reason == "too_long" for item in answers),
        "runnable": sum(item.argv is not None for item in answers),
        "figures": [] if evaluation is None else figures_document(figures(evaluation)),
        "by_kind": [] if evaluation is None else kinds_document(kind_figures(evaluation)),
    }

"""Answer tasks from outside with a model or a run: each completion, its argv and, where it can be had, its verdict."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.evals.asking import ArmLabel
from skillpm.evals.assemble import assemble
from skillpm.evals.examiner import Examiner
from skillpm.evals.figures import figures
from skillpm.evals.kinds import kind_figures
from skillpm.evals.stored_records import StoredRecords
from skillpm.evals.summary import figures_document, kinds_document
from skillpm.evals.tasks import outside_tasks, read_task_rows, sample, with_skill_text, with_tool_schemas
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Evaluation, Record, TaskAnswer, TaskRow
from skillpm.model.ports import Judge
from skillpm.model.skill import Skill
from skillpm.model.verdict import Judgement, Verdict
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.evaluate import Evaluator, refuse_unanswered
from skillpm.ops.learning.session import open_session
from skillpm.storage.files import write_atomic
from skillpm.storage.whole_folder import whole_folder

_COUNTED = ("answers", "truncated", "too_long", "runnable")
_NOT_ASKED = Verdict.abstained("nothing is expected")


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered.

    Attributes:
        answers: of all rows, each as often as it was answered.
        evaluation: of the rows that say what is expected; None where none does.
        summary: the document that was written.
        output: the folder that was written.
        limit: the name of the limit that ended it, such as ``max_minutes``; None where none did.
        interrupted: did Ctrl-C end it? In both cases the rows that were not answered are left out.
    """

    answers: int
    evaluation: Evaluation | None
    summary: dict[str, Any]
    output: Path
    limit: str | None
    interrupted: bool


def answer_rows(evaluator: Evaluator, skill: Skill, tasks: Path, answerer: Answerer, output: Path) -> Answered:
    """Answer rows ``{id?, request, expected?}`` of one skill and write completions.jsonl and summary.json.

    The tasks are JSON Lines. With ``skill_text`` of the evaluator, the skill's text stands in the prompt.

    Raises:
        UsageError: there is no such model or file, or the output exists.
        DocumentError: a row is wrong.
        TrainingError: no model can be loaded.
        InconclusiveError: a limit ended it before any answer.
    """
    asking = evaluator.asking
    rows = read_task_rows(tasks)
    with whole_folder(output) as folder, open_session(evaluator.context, [skill]) as session:
        contributions, scorer = session.contributions[skill.name], session.scorer
        eval_tasks = outside_tasks(contributions, rows, path=str(tasks))
        if asking.limit is not None:
            chosen = sample(eval_tasks, asking.limit, asking.seed)
            rows, eval_tasks = LazySequence(chosen, rows.__getitem__), LazySequence(chosen, eval_tasks.__getitem__)
        if asking.tool_schemas:
            eval_tasks = with_tool_schemas(eval_tasks, {skill.name: contributions.contract})
        if asking.skill_text:
            eval_tasks = with_skill_text(eval_tasks, {skill.name: contributions.skill_text})
        judge = _judge_where_expected(scorer.judge, contributions.contract)
        contracts = {skill.name: contributions.contract}
        examiner = Examiner(judge, scorer.prefetch, asking, evaluator.progress, contracts, evaluator.remember)
        policy = evaluator.policy(answerer.model, answerer.adapter)
        arm = examiner.ask(
            policy, eval_tasks, ArmLabel("answers", answerer.model, asking.skill_text, asking.tool_schemas)
        )
        refuse_unanswered(examiner, [arm])
        given = (rows[at][1] for at in examiner.answered)
        counts = Counter[str](dict.fromkeys(_COUNTED, 0))
        lines = _lines(zip(given, arm.records, strict=True), counts, repeated=asking.repeats > 1)
        write_atomic(folder / "completions.jsonl", lines)
        places = [at for at, task in enumerate(eval_tasks) if task.task.expected is not None]
        expecting = StoredRecords.of(record for record in arm.records if record.expected is not None)
        arm = arm.model_copy(update={"records": expecting})
        judged = LazySequence(places, eval_tasks.__getitem__)
        evaluation = assemble(session.contributions, judged, [arm]) if expecting else None
        asked = len(set(examiner.answered))
        summary = _summary(answerer, {"tasks": asked, **counts}, evaluation) | {"settings": arm.settings}
        write_atomic(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    limit = arm.settings.get("limit_reached")
    return Answered(
        counts["answers"], evaluation, summary, output, None if limit is None else str(limit), examiner.interrupted
    )


def _judge_where_expected(judge: Judge, contract: Contract | None) -> Judge:
    """Return a judge that abstains where nothing is expected, and has the contract read the commands there."""

    def judged(episodes: Sequence[Episode]) -> list[Judgement]:
        judgements = iter(judge([episode for episode in episodes if episode.task.expected is not None]))
        return [
            next(judgements) if episode.task.expected is not None else _unjudged(contract, episode.completion)
            for episode in episodes
        ]

    return judged


def _unjudged(contract: Contract | None, completion: str) -> Judgement:
    return Judgement(verdict=_NOT_ASKED, argv=None if contract is None else contract.argv_of(completion))


def _task_answer(row: TaskRow, record: Record, *, repeated: bool = False) -> TaskAnswer:
    """Return the form in which the answer to a row is written; which answer it is, where there are several."""
    answer = {
        "id": row.id,
        "request": row.request,
        "expected": row.expected,
        "completion": record.completion,
        "argv": record.argv,
        "verdict": None if row.expected is None else record.verdict,
        "rewards": record.rewards,
        "finish_reason": record.finish_reason,
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "tags": row.tags,
    }
    if record.repeat or repeated:
        answer["repeat"] = record.repeat
    return TaskAnswer.model_validate(
        answer | {key: item for key, item in (row.model_extra or {}).items() if key not in answer}
    )


def _lines(answered: Iterable[tuple[TaskRow, Record]], counts: Counter[str], *, repeated: bool) -> Iterator[str]:
    """Yield the answers as JSON Lines, and count them."""
    for row, record in answered:
        reason, runnable = record.finish_reason, record.argv is not None
        counts.update(answers=1, truncated=reason == "length", too_long=reason == "too_long", runnable=runnable)
        yield f"{_task_answer(row, record, repeated=repeated).model_dump_json()}\n"


def _summary(answerer: Answerer, counts: Mapping[str, int], evaluation: Evaluation | None) -> dict[str, Any]:
    return {
        "model": answerer.model,
        "adapter": None if answerer.adapter is None else str(answerer.adapter),
        **counts,
        "figures": [] if evaluation is None else figures_document(figures(evaluation)),
        "by_kind": [] if evaluation is None else kinds_document(kind_figures(evaluation)),
    }

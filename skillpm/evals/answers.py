"""Answer rows from outside: judged where it is known what is expected, read by the contract in any case."""

from __future__ import annotations

import time
from collections.abc import Sequence

from skillpm.contract.contract import Contract
from skillpm.evals.run import complete, record
from skillpm.evals.tasks import EvalTask
from skillpm.model.evaluation import Arm, Record, TaskAnswer, TaskRow
from skillpm.model.ports import Judge, Policy, Prefetch, Progress
from skillpm.model.verdict import Judgement, Verdict

_NOT_ASKED = Verdict.abstained("nothing is expected")


def answer(
    policy: Policy,
    rows: Sequence[TaskRow],
    tasks: Sequence[EvalTask],
    judge: Judge,
    contract: Contract | None,
    *,
    max_new_tokens: int,
    progress: Progress,
    prefetch: Prefetch | None = None,
) -> tuple[tuple[TaskAnswer, ...], Arm]:
    """Return one answer for each row, in order, and the arm of those rows that say what is expected.

    Raises:
        PluginError: the policy left a prompt without an answer.
    """
    started = time.monotonic()
    completions, episodes = complete(
        policy, tasks, max_new_tokens=max_new_tokens, progress=progress, title="answers", prefetch=prefetch
    )
    expecting = [index for index, task in enumerate(tasks) if task.task.expected is not None]
    judged = dict(zip(expecting, judge([episodes[index] for index in expecting]), strict=True))
    records = []
    for index, (task, completion) in enumerate(zip(tasks, completions, strict=True)):
        records.append(record(task, completion, judged.get(index) or _unjudged(contract, episodes[index].completion)))
    arm = Arm(
        name="answers",
        model=policy.name,
        settings={"max_new_tokens": max_new_tokens},
        records=tuple(records[index] for index in expecting),
        seconds=round(time.monotonic() - started, 3),
    )
    return tuple(map(_answer, rows, records)), arm


def _unjudged(contract: Contract | None, completion: str) -> Judgement:
    return Judgement(verdict=_NOT_ASKED, argv=None if contract is None else contract.argv_of(completion))


def _answer(row: TaskRow, found: Record) -> TaskAnswer:
    return TaskAnswer(
        id=row.id,
        request=row.request,
        expected=row.expected,
        completion=found.completion,
        argv=found.argv,
        verdict=None if row.expected is None else found.verdict,
        rewards=found.rewards,
        finish_reason=found.finish_reason,
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
    )

"""Answers to rows from outside: judged where it is known what is expected, read by the contract in any case."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.contract.contract import Contract
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Record, TaskAnswer, TaskRow
from skillpm.model.ports import Judge
from skillpm.model.verdict import Judgement, Verdict

_NOT_ASKED = Verdict.abstained("nothing is expected")


def judge_where_expected(judge: Judge, contract: Contract | None) -> Judge:
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


def task_answer(row: TaskRow, record: Record, *, repeated: bool = False) -> TaskAnswer:
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

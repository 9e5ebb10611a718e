"""What is kept of an answer: an episode out of a completion, and a record out of an episode and its judgement."""

from __future__ import annotations

from typing import Any, Literal

from skillpm.evals.tasks import EvalTask
from skillpm.formats.printable import well_formed
from skillpm.model.episode import Episode, Usage
from skillpm.model.evaluation import Record
from skillpm.model.ports import Completion
from skillpm.model.verdict import Judgement


def episode_of(task: EvalTask, completion: Completion) -> Episode:
    """Return the episode in which a task is answered, after what was said before."""
    usage = Usage(
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        confidence=completion.confidence,
    )
    text, reason = well_formed(completion.text), _finish_reason(completion.finish_reason)
    if task.before is None:
        return Episode.answering(task.task, text, reason, usage)
    if reason == "too_long":  # then what was answered before is all
        return task.before.model_copy(update={"messages": task.before.messages[:-1]})
    return task.before.answered(text, reason, usage)


def record(suite: str, episode: Episode, judgement: Judgement, repeat: int = 0) -> Record:
    """Return the form in which an answer to a task of a task set and its judgement are kept."""
    task, usage = episode.task, episode.usage
    return Record(
        task=task.key,
        skill=task.skill,
        suite=suite,
        request=task.request,
        expected=task.expected,
        completion=well_formed(episode.completion),
        **_judged(judgement),
        finish_reason=_finish_reason(episode.finish_reason),
        messages=episode.messages if len(episode.messages) > 1 else (),
        prompt_tokens=0 if usage is None else usage.prompt_tokens,
        completion_tokens=0 if usage is None else usage.completion_tokens,
        tags=task.tags,
        repeat=repeat,
        confidence=None if usage is None else usage.confidence,
    )


def judged_again(record: Record, judgement: Judgement) -> Record:
    """Return the record of the same answer with another judgement."""
    return record.model_copy(update=_judged(judgement))


def _judged(judgement: Judgement) -> dict[str, Any]:
    """Return the fields of a record that a judgement decides."""
    verdict = judgement.verdict
    only_json = verdict.components.get("only_json")
    return {
        "argv": judgement.argv,
        "verdict": verdict,
        "rewards": judgement.rewards,
        "exact": verdict.status == "passed",
        "valid_json": None if only_json is None else only_json == 1,
    }


def _finish_reason(reason: str) -> Literal["stop", "length", "too_long"]:
    return "length" if reason == "length" else "too_long" if reason == "too_long" else "stop"

"""Ask a policy every task once, greedily, and have every answer judged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from skillpm.errors import PluginError
from skillpm.evals.tasks import EvalTask
from skillpm.model.episode import Episode, Usage
from skillpm.model.evaluation import Arm, Record
from skillpm.model.ports import Completion, Judge, Policy, Prefetch, Progress
from skillpm.model.verdict import Judgement, Verdict


def evaluate(
    policy: Policy,
    tasks: Sequence[EvalTask],
    judge: Judge,
    *,
    name: str,
    max_new_tokens: int,
    progress: Progress,
    prefetch: Prefetch | None = None,
    model: str | None = None,
    skill_text: bool = False,
    adapter: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Arm:
    """Return what the policy answered to every task, judged, in the order of the tasks.

    Args:
        policy: who answers.
        tasks: what is asked.
        judge: judges any mix of skills, in order.
        name: of the arm.
        max_new_tokens: after so many tokens an answer is cut off (and recorded as ``length``).
        progress: told of every answer.
        prefetch: told of each answer when it has ended, so that it can be judged while others are written.
        model: as the person named it; the policy's own name where None.
        skill_text: does the prompt hold the skill's text? Recorded, not acted upon.
        adapter: recorded.
        settings: recorded beside ``max_new_tokens``.

    Raises:
        PluginError: the policy left a prompt without an answer.
    """
    started = time.monotonic()
    completions, episodes = complete(
        policy, tasks, max_new_tokens=max_new_tokens, progress=progress, title=name, prefetch=prefetch
    )
    judgements = judge(episodes)
    return Arm(
        name=name,
        model=policy.name if model is None else model,
        skill_text=skill_text,
        adapter=adapter,
        settings={"max_new_tokens": max_new_tokens, **(settings or {})},
        records=tuple(map(record, tasks, completions, judgements)),
        seconds=round(time.monotonic() - started, 3),
    )


def complete(
    policy: Policy,
    tasks: Sequence[EvalTask],
    *,
    max_new_tokens: int,
    progress: Progress,
    title: str,
    prefetch: Prefetch | None = None,
) -> tuple[list[Completion], list[Episode]]:
    """Return the policy's completions and their episodes in the order of the tasks, in whichever order they finish.

    Raises:
        PluginError: the policy left a prompt without an answer, or answered one twice or one that was not asked.
    """
    answers: dict[int, tuple[Completion, Episode]] = {}
    asked = range(len(tasks))
    surplus = 0
    progress.start(title, len(tasks))
    for index, completion in policy.complete([task.prompt for task in tasks], max_new_tokens=max_new_tokens):
        progress.advance()
        if index not in asked or index in answers:
            surplus += 1
            continue
        made = episode(tasks[index], completion)
        answers[index] = (completion, made)
        if prefetch is not None and made.task.expected is not None:
            prefetch([made])
    progress.finish()
    if surplus or len(answers) != len(tasks):
        raise PluginError(
            f"the policy {policy.name} answered {len(answers) + surplus} of {len(tasks)} prompts",
            hint="the policy is at fault; nothing was written",
        )
    return [answers[index][0] for index in asked], [answers[index][1] for index in asked]


def episode(task: EvalTask, completion: Completion) -> Episode:
    """Return the form in which an answer is judged."""
    usage = Usage(prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens)
    return Episode.answering(task.task, _well_formed(completion.text), _finish_reason(completion), usage)


def record(task: EvalTask, completion: Completion, judgement: Judgement) -> Record:
    """Return the form in which an answer and its judgement are kept."""
    return Record(
        task=task.task.key,
        skill=task.task.skill,
        suite=task.suite,
        request=task.task.request,
        expected=task.task.expected,
        completion=_well_formed(completion.text),
        argv=judgement.argv,
        verdict=judgement.verdict,
        rewards=judgement.rewards,
        exact=judgement.verdict.status == "passed",
        valid_json=_valid_json(judgement.verdict),
        finish_reason=_finish_reason(completion),
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
    )


def judged(record: Record, judgement: Judgement) -> Record:
    """Return the record of the same answer with another judgement."""
    verdict = judgement.verdict
    return record.model_copy(
        update={
            "argv": judgement.argv,
            "verdict": verdict,
            "rewards": judgement.rewards,
            "exact": verdict.status == "passed",
            "valid_json": _valid_json(verdict),
        }
    )


def _valid_json(verdict: Verdict) -> bool | None:
    only_json = verdict.components.get("only_json")
    return None if only_json is None else only_json == 1


def _finish_reason(completion: Completion) -> Literal["stop", "length"]:
    return "length" if completion.finish_reason == "length" else "stop"


def _well_formed(text: str) -> str:
    """Replace lone surrogates, which no file and no wire can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

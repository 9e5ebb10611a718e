"""Judge stored answers again, without a model, and say which verdicts moved."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from skillpm.evals.assemble import evaluated_skill
from skillpm.evals.records import judged_again
from skillpm.evals.stored_records import StoredRecords, stored_records
from skillpm.evals.tasks import TasksByKey
from skillpm.model.episode import Episode, Usage
from skillpm.model.evaluation import Arm, Evaluation, Record
from skillpm.model.ports import Judge
from skillpm.model.suite import HELD_OUT
from skillpm.model.task import Task

if TYPE_CHECKING:
    from skillpm.runtime.catalogue import Contributions

_AT_ONCE = 2048  # answers that are judged together


@dataclass(frozen=True, slots=True)
class Moved:
    """An answer that is judged otherwise than it was."""

    arm: str
    before: Record
    after: Record

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "arm": self.arm,
            "skill": self.before.skill,
            "suite": self.before.suite,
            "task": self.before.task,
            "request": self.before.request,
            "completion": self.before.completion,
            "before": _judgement(self.before),
            "after": _judgement(self.after),
        }


@dataclass(frozen=True, slots=True)
class MovedAnswers:
    """The answers of one arm that are judged otherwise, read when they are asked for."""

    arm: str
    before: StoredRecords
    after: StoredRecords
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Moved]:
        return (Moved(self.arm, self.before[place], self.after[place]) for place in self.places)


def judge_again(
    evaluation: Evaluation, judge: Judge, tasks: TasksByKey, contributions: Mapping[str, Contributions]
) -> tuple[Evaluation, list[MovedAnswers]]:
    """Return the evaluation with every answer judged now, all else as it was, and what moved in each arm.

    Args:
        evaluation: as it was written.
        judge: judges any mix of its skills, in order.
        tasks: what is known of its tasks beside their records.
        contributions: of the skills as they are now, by name.
    """
    arms: list[Arm] = []
    moved: list[MovedAnswers] = []
    for arm in evaluation.arms:
        before, after, places = stored_records(arm), StoredRecords.of(()), array("I")
        rest = iter(before)
        while records := list(islice(rest, _AT_ONCE)):
            judgements = judge([_episode(record, tasks, contributions) for record in records])
            for record, judgement in zip(records, judgements, strict=True):
                again = judged_again(record, judgement)
                if again != record:
                    places.append(len(after))
                after.append(again)
        moved.append(MovedAnswers(arm.name, before, after, places))
        arms.append(arm.model_copy(update={"records": after}))
    skills = tuple(
        evaluated_skill(contributions[skill.name]) if skill.name in contributions else skill
        for skill in evaluation.skills
    )
    return evaluation.model_copy(update={"arms": tuple(arms), "skills": skills}), moved


def _episode(record: Record, tasks: TasksByKey, contributions: Mapping[str, Contributions]) -> Episode:
    skill = contributions.get(record.skill)
    task = tasks.get(record.task) or _task(record, "" if skill is None else skill.prompt)
    usage = Usage(prompt_tokens=record.prompt_tokens, completion_tokens=record.completion_tokens)
    episode = Episode.answering(task, record.completion, record.finish_reason, usage)
    return episode.model_copy(update={"messages": record.messages}) if record.messages else episode


def _task(record: Record, prompt: str) -> Task:
    """Return the task of a record; its key stays the recorded one, whatever the skill's prompt is now."""
    held_out = record.suite == HELD_OUT
    task = Task.of(
        skill=record.skill,
        system=prompt,
        request=record.request,
        expected=record.expected,
        split="held_out" if held_out else "suite",
        origin="rule" if held_out else "suite",
    )
    return task.model_copy(update={"key": record.task})


def _judgement(record: Record) -> dict[str, Any]:
    return {"verdict": record.verdict.model_dump(mode="json"), "rewards": record.rewards, "argv": record.argv}

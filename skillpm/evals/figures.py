"""The figures of an evaluation, for each task set and arm: share of exact answers, reward, share of valid JSON.

An answer that could not be judged counts neither as right nor as wrong: it is counted apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from skillpm.evals.statistics import Interval, effective_trials, mean_interval, pass_at, pass_hat, wilson
from skillpm.model.answer_kind import label_of
from skillpm.model.evaluation import TEMPLATE, Evaluation, Record, TaskSet
from skillpm.model.suite import Metric

_LABELS = {
    "base": "base",
    "base+skill": "base + skill text",
    "base+tools": "base + tool schemas",
    "sft": "after SFT",
    "grpo": "after GRPO",
}

GRAMMAR = "+grammar"
"""Ends the name of an arm whose answers could only be what the contract accepts."""

NOVELTIES = {"new:value": "new value", "new:phrasing": "new phrasing", "new:both": "new value and phrasing"}
"""What training never shows of a row, by the tag with which synthesis says it."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What several answers to each task come to.

    Attributes:
        k: so many answers to one task.
        tasks: of which at least ``k`` answers were judged.
        one: the share of tasks of which at least one of ``k`` answers is right: pass@k.
        every: the share of tasks of which all ``k`` answers are right: pass^k.
    """

    k: int
    tasks: int
    one: Interval
    every: Interval


@dataclass(frozen=True, slots=True)
class Cell:
    """What one arm reached on one task set; a figure is None where nothing could be counted.

    Attributes:
        asked: how many answers there are.
        tasks: that have one.
        judged: leaves out what errored (an outage) and what the verifier abstained from.
        truncated: answers that were cut off at the token limit.
        too_long: prompts that did not fit the model's window and were not asked.
        not_asked: answers that are missing because the arm was ended, by a person or by a limit.
        repeated: where tasks were asked several times.
    """

    asked: int
    tasks: int
    judged: int
    errored: int
    exact: Interval | None
    reward: Interval | None
    valid_json: Interval | None
    truncated: int
    too_long: int = 0
    not_asked: int = 0
    repeated: tuple[Repeated, ...] = ()

    def metric(self, name: Metric) -> Interval | None:
        """Return the figure that a suite or a gate names."""
        return {"exact_match": self.exact, "reward": self.reward, "valid_json": self.valid_json}[name]


@dataclass(frozen=True, slots=True)
class Row:
    """One task set: a cell for each arm that was asked it."""

    task_set: TaskSet
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part of one task set, such as the tasks of one tool: a cell for each arm that was asked any of it."""

    task_set: TaskSet
    part: str
    cells: Mapping[str, Cell]


def arm_label(name: str) -> str:
    """Return what people read for an arm."""
    asked = name.removesuffix(GRAMMAR)
    label = _LABELS.get(asked, f"after {asked}")
    return label if asked == name else f"{label} + grammar"


def task_set_label(name: str) -> str:
    """Return what people read for a task set."""
    return name.replace("_", " ")


def cell(records: Sequence[Record], reward: str | None) -> Cell:
    """Return the figures of some records of one arm; ``reward`` names the one that is averaged."""
    judged = [record for record in records if record.judged]
    shapes = [(record.valid_json, record.cluster) for record in judged if record.valid_json is not None]
    paid = [(value, record.cluster) for record in judged if (value := record.rewards.get(reward or "")) is not None]
    return Cell(
        asked=len(records),
        tasks=len({record.key for record in records}),
        judged=len(judged),
        errored=sum(record.verdict.status == "errored" for record in records),
        exact=share([(record.exact, record.cluster) for record in judged]),
        reward=mean_interval([value for value, _ in paid], [cluster for _, cluster in paid], bounds=(-1, 1)),
        valid_json=share(shapes),
        truncated=sum(record.finish_reason == "length" for record in records),
        too_long=sum(record.finish_reason == "too_long" for record in records),
        repeated=_repeated(judged),
    )


def _repeated(judged: Sequence[Record]) -> tuple[Repeated, ...]:
    """Return the figures of tasks with several judged answers, for powers of two and for all of the answers."""
    answers: dict[str, list[Record]] = defaultdict(list)
    for record in judged:
        answers[record.task].append(record)
    most = max((len(records) for records in answers.values()), default=0)
    if most < 2 or max(record.repeat for record in judged) == 0:
        return ()
    figures = []
    for k in sorted({2**power for power in range(most.bit_length())} | {most}):
        tasks = [
            (sum(record.exact for record in records), len(records), records[0].cluster)
            for records in answers.values()
            if len(records) >= k
        ]
        one = share([(pass_at(right, size, k), cluster) for right, size, cluster in tasks])
        every = share([(pass_hat(right, size, k), cluster) for right, size, cluster in tasks])
        if one is not None and every is not None:
            figures.append(Repeated(k, len(tasks), one, every))
    return tuple(figures)


def share(outcomes: Sequence[tuple[float, str]]) -> Interval | None:
    """Return the mean of outcomes from 0 to 1, such as right and wrong, each with its cluster; None without any."""
    values, clusters = [float(value) for value, _ in outcomes], [cluster for _, cluster in outcomes]
    if len(set(clusters)) == len(clusters):
        return wilson(math.fsum(values), len(values))
    return wilson(math.fsum(values), len(values), effective_trials(values, clusters))


def novelty_figures(evaluation: Evaluation) -> list[Row]:
    """Return the figures of each task set again by what is new in its rows: a value, the phrasing, or both.

    Rows that do not say it are in none of them.
    """
    parts = []
    for name, label in NOVELTIES.items():
        arms = [
            arm.model_copy(update={"records": tuple(record for record in arm.records if name in record.tags)})
            for arm in evaluation.arms
        ]
        for row in _rows(evaluation.model_copy(update={"arms": tuple(arms)})):
            if row.cells:
                tasks = max(cell.tasks for cell in row.cells.values())
                task_set = row.task_set.model_copy(update={"name": f"{row.task_set.name}, {label}", "tasks": tasks})
                parts.append(Row(task_set, row.cells))
    return parts


def tool_figures(evaluation: Evaluation) -> list[PartRow]:
    """Return the figures of each task set again by the tool of the expected answer, or by what else it does."""
    return _part_figures(evaluation, lambda record: [tool] if (tool := label_of(record.expected)) else [])


def tag_figures(evaluation: Evaluation) -> list[PartRow]:
    """Return the figures of each task set again by the tags that its author gave."""
    return _part_figures(evaluation, shown_tags)


def shown_tags(record: Record) -> list[str]:
    """Return the tags of a record without those of synthesis that have figures of their own."""
    return [tag for tag in record.tags if not tag.startswith(TEMPLATE) and tag not in NOVELTIES]


def _part_figures(evaluation: Evaluation, parts: Callable[[Record], Iterable[str]]) -> list[PartRow]:
    """Return a row for each task set and part, in the order of the sets, their parts by name."""
    rewards = {skill.name: skill.reward for skill in evaluation.skills}
    groups: dict[tuple[str, str], dict[str, dict[str, list[Record]]]] = {}
    for arm in evaluation.arms:
        for record in arm.records:
            group = groups.setdefault((record.skill, record.suite), {})
            for part in parts(record):
                group.setdefault(part, {}).setdefault(arm.name, []).append(record)
    return [
        PartRow(task_set, part, {arm: cell(records, rewards.get(task_set.skill)) for arm, records in by_arm.items()})
        for task_set in evaluation.task_sets
        for part, by_arm in sorted(groups.get((task_set.skill, task_set.name), {}).items())
    ]


def figures(evaluation: Evaluation) -> list[Row]:
    """Return one row for each task set, in order, with a cell for each arm that was asked its tasks, or was to be."""
    rows = []
    for row in _rows(evaluation):
        cells = {}
        for arm in evaluation.arms:
            known = row.cells.get(arm.name, cell((), None) if arm.stopped else None)
            if known is not None:
                missing = row.task_set.tasks * arm.repeats - known.asked if arm.stopped else 0
                cells[arm.name] = replace(known, not_asked=max(0, missing))
        rows.append(Row(row.task_set, cells))
    return rows


def _rows(evaluation: Evaluation) -> list[Row]:
    rewards = {skill.name: skill.reward for skill in evaluation.skills}
    groups: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for arm in evaluation.arms:
        for record in arm.records:
            groups[record.skill, record.suite, arm.name].append(record)
    rows = []
    for task_set in evaluation.task_sets:
        cells = {
            arm.name: cell(records, rewards.get(task_set.skill))
            for arm in evaluation.arms
            if (records := groups.get((task_set.skill, task_set.name, arm.name)))
        }
        rows.append(Row(task_set, cells))
    return rows

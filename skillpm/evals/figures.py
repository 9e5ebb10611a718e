"""The figures of an evaluation, for each task set and arm: share of exact answers, reward, share of valid JSON.

An answer that could not be judged counts neither as right nor as wrong: it is counted apart.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from skillpm.evals.outcomes import Measured, Outcomes, Part, Profile, TaskPlaces
from skillpm.evals.statistics import Interval, effective_trials, mean_interval, pass_at, pass_hat, wilson
from skillpm.evals.stored_records import outcomes_of
from skillpm.model.evaluation import TEMPLATE, Evaluation, TaskSet
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

    json_keys: ClassVar = ("judged", "errored", "truncated", "too_long", "not_asked", "exact", "reward", "valid_json",
                           "repeated")  # fmt: skip
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
    """One task set, or a part of it such as the tasks of one tool: a cell for each arm that was asked any of it."""

    task_set: TaskSet
    cells: Mapping[str, Cell]
    part: str = ""


def arm_label(name: str) -> str:
    """Return what people read for an arm."""
    asked = name.removesuffix(GRAMMAR)
    label = _LABELS.get(asked, f"after {asked}")
    return label if asked == name else f"{label} + grammar"


def task_set_label(name: str) -> str:
    """Return what people read for a task set."""
    return name.replace("_", " ")


def points(share: float) -> str:
    """Return a difference of shares in percentage points with its sign; what rounds to nothing is +0.0."""
    return f"{round(share * 100, 1) + 0.0:+.1f}"


def cell(part: Part, reward: str | None) -> Cell:
    """Return the figures of some records of one arm; ``reward`` names the one that is averaged."""
    paid = part.paid(reward)
    return Cell(
        asked=len(part),
        tasks=part.tasks,
        judged=part.count(lambda profile: profile.judged),
        errored=part.count(lambda profile: profile.status == "errored"),
        exact=share(part.measured(lambda profile: float(profile.exact) if profile.judged else None)),
        reward=mean_interval(paid.values, paid.clusters, bounds=(-1, 1)),
        valid_json=share(part.measured(_well_formed)),
        truncated=part.count(lambda profile: profile.finish_reason == "length"),
        too_long=part.count(lambda profile: profile.finish_reason == "too_long"),
        repeated=_repeated(part),
    )


def _well_formed(profile: Profile) -> float | None:
    return float(profile.valid_json) if profile.judged and profile.valid_json is not None else None


def _repeated(part: Part) -> tuple[Repeated, ...]:
    """Return the figures of tasks with several judged answers, for powers of two and for all of the answers."""
    judged = part.only(lambda profile: profile.judged)
    if not any(profile.repeat for profile in judged.counts):
        return ()
    right, sizes, first = array("I"), array("I"), array("I")
    answers = TaskPlaces(judged)
    for task in answers:
        places = answers.of(task)
        right.append(sum(part.outcomes.profile(place).exact for place in places))
        sizes.append(len(places))
        first.append(places[0])
    most = max(sizes)
    if most < 2:
        return ()
    figures = []
    for k in sorted({2**power for power in range(most.bit_length())} | {most}):
        chosen = [position for position, size in enumerate(sizes) if size >= k]
        clusters = part.outcomes.clusters(first[position] for position in chosen)
        at, hat = (
            share(Measured(array("d", (chance(right[one], sizes[one], k) for one in chosen)), clusters))
            for chance in (pass_at, pass_hat)
        )
        if at is not None and hat is not None:
            figures.append(Repeated(k, len(chosen), at, hat))
    return tuple(figures)


def share(outcomes: Measured) -> Interval | None:
    """Return the mean of outcomes from 0 to 1, such as right and wrong; None without any."""
    values, clusters = outcomes
    return wilson(math.fsum(values), len(values), effective_trials(values, clusters))


def novelty_figures(evaluation: Evaluation) -> list[Row]:
    """Return the figures of each task set again by what is new in its rows: a value, the phrasing, or both.

    Rows that do not say it are in none of them.
    """
    rows = _rows(evaluation, lambda profile: NOVELTIES.keys() & profile.tags)
    parts = []
    for row in sorted(rows, key=lambda row: list(NOVELTIES).index(row.part)):
        tasks = max(cell.tasks for cell in row.cells.values())
        name = f"{row.task_set.name}, {NOVELTIES[row.part]}"
        parts.append(Row(row.task_set.model_copy(update={"name": name, "tasks": tasks}), row.cells))
    return parts


def tool_figures(evaluation: Evaluation) -> list[Row]:
    """Return the figures of each task set again by the tool of the expected answer, or by what else it does."""
    return _rows(evaluation, lambda profile: [profile.expected] if profile.expected else [])


def tag_figures(evaluation: Evaluation) -> list[Row]:
    """Return the figures of each task set again by the tags that its author gave."""
    return _rows(evaluation, shown_tags)


def shown_tags(profile: Profile) -> list[str]:
    """Return the tags of a record without those of synthesis that have figures of their own."""
    return [tag for tag in profile.tags if not tag.startswith(TEMPLATE) and tag not in NOVELTIES]


def _rows(evaluation: Evaluation, parts: Callable[[Profile], Iterable[str]]) -> list[Row]:
    """Return a row for each task set and part of it with records, in the order of the sets, their parts by name."""
    rewards = {skill.name: skill.reward for skill in evaluation.skills}
    groups: dict[tuple[str, str], dict[str, dict[str, Cell]]] = {}
    for arm in evaluation.arms:
        by_part = outcomes_of(arm).groups(lambda profile: [(profile.skill, profile.suite, p) for p in parts(profile)])
        for (skill, suite, name), part in by_part.items():
            group = groups.setdefault((skill, suite), {})
            group.setdefault(name, {})[arm.name] = cell(part, rewards.get(skill))
    return [
        Row(task_set, by_arm, part)
        for task_set in evaluation.task_sets
        for part, by_arm in sorted(groups.get((task_set.skill, task_set.name), {}).items())
    ]


def figures(evaluation: Evaluation) -> list[Row]:
    """Return one row for each task set, in order, with a cell for each arm that was asked its tasks, or was to be."""
    asked = {(row.task_set.skill, row.task_set.name): row.cells for row in _rows(evaluation, lambda profile: [""])}
    rows = []
    for task_set in evaluation.task_sets:
        found, cells = asked.get((task_set.skill, task_set.name), {}), {}
        for arm in evaluation.arms:
            known = found.get(arm.name, cell(Outcomes().whole(), None) if arm.stopped else None)
            if known is not None:
                missing = task_set.tasks * arm.repeats - known.asked if arm.stopped else 0
                cells[arm.name] = replace(known, not_asked=max(0, missing))
        rows.append(Row(task_set, cells))
    return rows

"""The tasks that the gate tries: seeds, suite tasks and rows of synthesis, each as training or evaluation asks it.

A verifier sees a task's split, origin and tags. A seed is a training task of its split and origin here as well, so that
nothing tells the gate from training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillpm.contract.contract import Contract, gold_text
from skillpm.contract.judge import AnyGold
from skillpm.errors import DocumentError
from skillpm.layout.package import Row
from skillpm.model.task import Seed, Task
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.conventions import CONVENTIONS
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.selftest.claims import TaskRef


@dataclass(frozen=True, slots=True)
class GateTask:
    """One task that answers are tried on.

    Attributes:
        ref: the task, and where it stands.
        gold: the text of the expected answer.
        value: the expected answer, complete.
        judged: the expected answer as the contract judges by it; None without a contract.
    """

    ref: TaskRef
    gold: str
    value: Any
    judged: AnyGold | None


@dataclass(slots=True)
class GateTasks:
    """All of one skill.

    Attributes:
        broken: tasks whose expected answer breaks the contract, and why.
    """

    written: list[GateTask] = field(default_factory=list)
    drawn: list[GateTask] = field(default_factory=list)
    broken: list[tuple[TaskRef, str]] = field(default_factory=list)

    def all(self) -> list[GateTask]:
        """Return all of them, those that people wrote first."""
        return [*self.written, *self.drawn]

    def counts(self) -> dict[str, int]:
        """Return how many there are of each origin, such as ``seed`` and ``rule``."""
        origins = [task.ref.task.origin for task in self.all()]
        return {origin: origins.count(origin) for origin in ("seed", "suite", "rule")}


def gate_tasks(contributions: Contributions, files: SkillFiles, drawn: Sequence[Task]) -> GateTasks:
    """Return the tasks of a skill; ``drawn`` are those of its synthesis rules."""
    tasks = GateTasks()
    contract = contributions.contract
    rules = [
        TaskRef(f"row {number} of synthesis", "synthesis.yaml", None, task) for number, task in enumerate(drawn, 1)
    ]
    for refs, gathered in ((_written(contributions, files), tasks.written), (rules, tasks.drawn)):
        for ref in refs:
            try:
                gathered.append(gate_task(contract, ref))
            except DocumentError as error:
                tasks.broken.append((ref, error.rule))
    return tasks


def gate_task(contract: Contract | None, ref: TaskRef) -> GateTask:
    """Return the task that a reference names. Raises DocumentError if its expected answer breaks the contract."""
    expected = ref.expected
    value = expected if contract is None else contract.complete(expected)
    return GateTask(ref, gold_text(contract, expected), value, None if contract is None else contract.gold(expected))


def _written(contributions: Contributions, files: SkillFiles) -> Iterator[TaskRef]:
    """Yield seeds as training asks them, and suite tasks as evaluation asks them."""
    for number, row in enumerate(files.seed_rows(), 1):
        yield _ref(row, number, _seed_task(contributions, row.value))
    for number, row in enumerate(files.suite_rows(), 1):
        seed = row.value
        yield _ref(row, number, contributions.task(seed.request, seed.expected, seed.tags))
    for suite in contributions.suites:
        plugin = contributions.origins.get(f"suite:{suite.name}", CONVENTIONS)
        if plugin != CONVENTIONS and not isinstance(suite.tasks, str):
            path = plugin if plugin.endswith(".py") else ""
            for number, seed in enumerate(suite.tasks, 1):
                task = contributions.task(seed.request, seed.expected, seed.tags)
                yield TaskRef(f"{suite.name}:{number}", path, None, task)


def _ref(row: Row[Seed], number: int, task: Task) -> TaskRef:
    return TaskRef(f"{row.path}:{row.line or number}", row.path, row.line, task)


def _seed_task(contributions: Contributions, seed: Seed) -> Task:
    """Return a seed as synthesis makes a training row of it."""
    expected = seed.expected
    if contributions.contract is not None:
        with contextlib.suppress(DocumentError):  # reported when the task is gathered
            expected = contributions.contract.complete(expected)
    return Task.of(
        skill=contributions.skill.name,
        system=contributions.prompt,
        request=seed.request,
        expected=expected,
        split="train",
        origin="seed",
        tags=seed.tags,
    )

"""The Berkeley function-calling leaderboard: tasks out of the package ``bfcl-eval``, judged by its checker.

Nothing of its data is kept here. A task's answer is what skillpm's own prompts ask for, one JSON object; the checker
gets the call as it gets those of every model. ``file_system`` has the conversations.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from skillpm.plugin import Attempt, Seed, Suite, Verdict
from skillpm_benchmarks import file_system
from skillpm_benchmarks.answers import MISS, PASSED, WRONG, calls_of, failed
from skillpm_benchmarks.package import data_rows, truths_of

NAME = "bfcl"
CATEGORIES = {"simple": "simple_python", "multiple": "multiple", "irrelevance": "irrelevance"}
_REFUSAL = {"refuse": "off_topic"}
_FORM = (
    'Reply with ONLY one JSON object: {"tool": NAME, "args": {...}} calls one of these functions, '
    'and {"refuse": "off_topic"} says that none of them fits.'
)
_MODEL = "gorilla"  # of the checker's table of models: one that writes dots in names as they are


@dataclass(frozen=True, slots=True)
class Problem:
    """One task of a single answer.

    Attributes:
        category: ``simple``, ``multiple`` or ``irrelevance``.
        request: the functions, the form of an answer, and the question.
        functions: as the benchmark describes them.
        truths: for each call its arguments with all right values; empty where no function fits.
    """

    category: str
    request: str
    functions: Sequence[Mapping[str, Any]]
    truths: Sequence[Mapping[str, Mapping[str, Sequence[Any]]]]

    @property
    def expected(self) -> dict[str, Any]:
        """A right answer: of each argument the first right value, without those that may be left out."""
        if not self.truths:
            return dict(_REFUSAL)
        ((name, arguments),) = self.truths[0].items()
        required = self.required(name)
        said = {key: values for key, values in arguments.items() if "" not in values or key in required}
        return {"tool": name, "args": {key: _first(values) for key, values in said.items()}}

    def required(self, name: str) -> Sequence[str]:
        """Return the arguments that a call of a function must have."""
        function = next(item for item in self.functions if item["name"] == name)
        return list(function["parameters"].get("required", ()))


def _first(values: Sequence[Any]) -> Any:
    """Return the first right value; inside an object, each key has its own list of right values."""
    value = next((value for value in values if value != ""), "")
    if isinstance(value, dict):
        return {key: _first(inner) for key, inner in value.items() if "" not in inner}
    if isinstance(value, list):
        return [_first([item]) if isinstance(item, dict) else item for item in value]
    return value


@functools.cache
def problems() -> dict[str, Problem]:
    """Return all tasks of a single answer by their identity. Raises SkillpmError where ``bfcl-eval`` is missing."""
    return {row["id"]: problem for category, file in CATEGORIES.items() for row, problem in _category(category, file)}


def _category(category: str, file: str) -> list[tuple[dict[str, Any], Problem]]:
    name = f"BFCL_v4_{file}"
    truths = truths_of(name)
    return [
        (row, Problem(category, _request(row), row["function"], truths.get(row["id"], ()))) for row in data_rows(name)
    ]


def _request(row: Mapping[str, Any]) -> str:
    functions = "\n".join(json.dumps(function, ensure_ascii=False) for function in row["function"])
    question = "\n\n".join(message["content"] for turn in row["question"] for message in turn)
    return f"Functions:\n{functions}\n\n{_FORM}\n\n{question}"


def suites() -> list[Suite]:
    """Return a suite for each category."""
    tasks: dict[str, dict[str, Seed]] = {category: {} for category in CATEGORIES}
    for identity, problem in problems().items():
        seed = Seed(id=identity, request=problem.request, expected=problem.expected, tags=(f"bfcl:{identity}",))
        tasks[problem.category].setdefault(problem.request, seed)  # the benchmark asks a few questions twice
    single = [
        Suite(name=category, description=f"bfcl-eval, {CATEGORIES[category]}", tasks=tuple(seeds.values()))
        for category, seeds in tasks.items()
    ]
    return [*single, file_system.suite()]


class Judge:
    """Judges answers by the leaderboard's checkers of calls and of conversations."""

    def observe(self, attempt: Attempt) -> str | None:
        """Return what comes next in a conversation; None where it ends, and for a task of a single answer."""
        task = file_system.conversations().get(_identity(attempt))
        return None if task is None else file_system.observe(task, attempt)

    def verify(self, attempts: Sequence[Attempt]) -> list[Verdict]:
        """Return a verdict for each attempt: what a checker calls valid has passed."""
        return [self._verdict(attempt) for attempt in attempts]

    def _verdict(self, attempt: Attempt) -> Verdict:
        identity = _identity(attempt)
        if (conversation := file_system.conversations().get(identity)) is not None:
            return file_system.verdict(conversation, attempt)
        problem = problems().get(identity)
        if problem is None:
            return Verdict(status="abstained", score=None, reasons=("the benchmark has no such task",))
        calls = calls_of(attempt.completion)
        if not problem.truths:  # the benchmark counts every answer that is no call as right
            return failed(WRONG, "a function is called where none fits") if calls else PASSED
        if not calls:
            return failed(MISS, "no call can be read")
        found = _checker()(problem.functions, [dict([call]) for call in calls], problem.truths, problem.category)
        return PASSED if found["valid"] else failed(WRONG, *map(str, found["error"]))


def _identity(attempt: Attempt) -> str:
    """Return the benchmark's name of a task."""
    tags = attempt.task.tags
    return next((tag.removeprefix("bfcl:") for tag in tags if tag.startswith("bfcl:")), "")


@functools.cache
def _checker() -> Callable[..., dict[str, Any]]:
    """Return the benchmark's checker.

    The checker asks a table of all models one thing: does a model write dots in names as underscores? That table
    imports the clients of some twenty vendors. So the checker gets a table of one model instead.
    """
    table = "bfcl_eval.constants.model_config"
    if table not in sys.modules:
        module = ModuleType(table)
        module.__dict__["MODEL_CONFIG_MAPPING"] = {_MODEL: SimpleNamespace(underscore_to_dot=False)}
        sys.modules[table] = module
    python = importlib.import_module("bfcl_eval.constants.enums").Language.PYTHON
    check = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker").ast_checker
    return lambda functions, calls, truths, category: dict(check(functions, calls, truths, python, category, _MODEL))

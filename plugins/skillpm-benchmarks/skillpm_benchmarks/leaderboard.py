"""The Berkeley function-calling leaderboard: tasks out of the package ``bfcl-eval``, judged by its checker.

Nothing of its data is kept here. A task's answer is what skillpm's own prompts ask for, one JSON object; the checker
gets the call as it gets those of every model.

Source: S. Patil et al., "The Berkeley Function Calling Leaderboard", ICML 2025; https://github.com/ShishirPatil/gorilla.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from skillpm.plugin import Attempt, Seed, SkillpmError, Suite, Verdict

NAME = "bfcl"
CATEGORIES = {"simple": "simple_python", "multiple": "multiple", "irrelevance": "irrelevance"}
_REFUSAL = {"refuse": "off_topic"}
_FORM = (
    'Reply with ONLY one JSON object: {"tool": NAME, "args": {...}} calls one of these functions, '
    'and {"refuse": "off_topic"} says that none of them fits.'
)
_MODEL = "gorilla"  # of the checker's table of models: one that writes dots in names as they are
_MISS, _WRONG = 0.0, 0.2


@dataclass(frozen=True, slots=True)
class Problem:
    """One task of the leaderboard.

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
    """Return all tasks by their identity.

    Raises:
        SkillpmError: ``bfcl-eval`` is not installed.
    """
    found = importlib.util.find_spec("bfcl_eval")
    if found is None or not found.submodule_search_locations:
        hint = "pip install --no-deps bfcl-eval"
        raise SkillpmError("the benchmark's own package is missing", hint=hint)
    folder = Path(found.submodule_search_locations[0], "data")
    return {
        row["id"]: problem
        for category, file in CATEGORIES.items()
        for row, problem in _category(folder, category, file)
    }


def _category(folder: Path, category: str, file: str) -> list[tuple[dict[str, Any], Problem]]:
    name = f"BFCL_v4_{file}.json"
    answers = folder / "possible_answer" / name
    truths = {row["id"]: row["ground_truth"] for row in _rows(answers)} if answers.is_file() else {}
    return [
        (row, Problem(category, _request(row), row["function"], truths.get(row["id"], ())))
        for row in _rows(folder / name)
    ]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


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
    return [
        Suite(name=category, description=f"bfcl-eval, {CATEGORIES[category]}", tasks=tuple(seeds.values()))
        for category, seeds in tasks.items()
    ]


class Judge:
    """Judges answers by the leaderboard's checker of calls."""

    def verify(self, attempts: Sequence[Attempt]) -> list[Verdict]:
        """Return a verdict for each attempt: what the checker calls valid has passed."""
        return [self._verdict(attempt) for attempt in attempts]

    def _verdict(self, attempt: Attempt) -> Verdict:
        identity = next((tag.removeprefix("bfcl:") for tag in attempt.task.tags if tag.startswith("bfcl:")), "")
        problem = problems().get(identity)
        if problem is None:
            return Verdict(status="abstained", score=None, reasons=("the benchmark has no such task",))
        call = _call(attempt.episode.completion)
        if not problem.truths:  # the benchmark counts every answer that is no call as right
            return _failed(_WRONG, "a function is called where none fits") if call else _PASSED
        if call is None:
            return _failed(_MISS, "no call can be read")
        found = _checker()(problem.functions, [call], problem.truths, problem.category)
        return _PASSED if found["valid"] else _failed(_WRONG, *map(str, found["error"]))


_PASSED = Verdict(status="passed", score=1.0, components={"exact": 1.0, "parsed": 1.0})


def _failed(score: float, *reasons: str) -> Verdict:
    parsed = float(score > _MISS)
    short = tuple(reason[:500] for reason in reasons)
    return Verdict(status="failed", score=score, components={"exact": 0.0, "parsed": parsed}, reasons=short)


def _call(completion: str) -> dict[str, Any] | None:
    """Return the call as the checker takes it, ``{name: arguments}``; None if the answer is no call."""
    try:
        answer = json.loads(completion.rpartition("</think>")[2])
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or answer.keys() != {"tool", "args"} or not isinstance(answer["args"], dict):
        return None
    given = {name: value for name, value in answer["args"].items() if value is not None}
    return {answer["tool"]: given} if isinstance(answer["tool"], str) else None


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

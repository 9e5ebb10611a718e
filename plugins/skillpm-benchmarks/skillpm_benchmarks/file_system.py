"""Conversations about a simulated file system, which the leaderboard calls ``multi_turn_base``.

Of that category, these are the tasks that need no other simulator. The benchmark's own file system answers each call,
and its own checker compares the states and the outputs at the end of each turn. Nothing is kept between two answers:
the messages of an episode say all that was called, and it is called again.
"""

from __future__ import annotations

import ast
import functools
import importlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from skillpm.plugin import Attempt, Seed, Suite, Verdict
from skillpm_benchmarks.answers import MISS, PASSED, WRONG, Call, calls_of, failed
from skillpm_benchmarks.package import data_rows, truths_of

NAME = "file-system"
STEPS = 20  # answers of one turn; the benchmark ends a conversation in which a turn has more
_FILE, _CLASS = "BFCL_v4_multi_turn_base", "GorillaFileSystem"
_PACKAGE = "bfcl_eval.eval_checker.multi_turn_eval"
_LEAD = "Tool description: "  # behind what the benchmark says of all functions
_FORM = (
    'Reply with ONLY JSON: {"tool": NAME, "args": {...}} calls a function, and a list of such objects calls several in '
    'this order. You then read what they return, and reply again. {"answer": TEXT} says that the request is done.'
)
_MODEL = "skillpm"
_ONE_AT_A_TIME = threading.Lock()  # the benchmark keeps its simulators among the global names of a module

Turn = list[list[str]]
"""The answers of one turn that call something, each as Python calls."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One task.

    Attributes:
        entry: the benchmark's row.
        truth: for each turn, the right calls in Python.
        request: the functions, the form of an answer, and the first question.
    """

    entry: dict[str, Any]
    truth: list[list[str]]
    request: str

    @property
    def questions(self) -> list[str]:
        """What the person says at the beginning of each turn."""
        return ["\n\n".join(message["content"] for message in turn) for turn in self.entry["question"]]

    @property
    def expected(self) -> dict[str, Any]:
        """Right answers: for each turn its calls."""
        calls = ([_call_of(text) for text in turn] for turn in self.truth)
        return {"turns": [[{"tool": name, "args": arguments} for name, arguments in turn] for turn in calls]}


def _call_of(text: str) -> Call:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
    return call.func.id, {str(item.arg): ast.literal_eval(item.value) for item in call.keywords}


@functools.cache
def conversations() -> dict[str, Conversation]:
    """Return all tasks by their identity. Raises SkillpmError where ``bfcl-eval`` is not installed."""
    entries = [row for row in data_rows(_FILE) if row["involved_classes"] == [_CLASS]]
    truths, beginning = truths_of(_FILE), f"Functions:\n{_described_functions()}\n\n{_FORM}\n\n"
    found = {row["id"]: Conversation(row, truths[row["id"]], "") for row in entries}
    return {
        identity: Conversation(item.entry, item.truth, beginning + item.questions[0])
        for identity, item in found.items()
    }


def _described_functions() -> str:
    """Return the functions as the benchmark describes them, without what it repeats and what they return."""
    functions = [
        {**row, "description": row["description"].rpartition(_LEAD)[2]}
        for row in data_rows("multi_turn_func_doc/gorilla_file_system")
    ]
    kept = ("name", "description", "parameters")
    return "\n".join(json.dumps({key: function[key] for key in kept}, ensure_ascii=False) for function in functions)


@functools.cache
def _function_names() -> frozenset[str]:
    return frozenset(row["name"] for row in data_rows("multi_turn_func_doc/gorilla_file_system"))


def suite() -> Suite:
    """Return the suite of all tasks."""
    tasks = [
        Seed(id=identity, request=item.request, expected=item.expected, tags=(f"bfcl:{identity}",))
        for identity, item in conversations().items()
    ]
    return Suite(name=NAME, description=f"bfcl-eval, {_FILE}, file system alone", tasks=tuple(tasks))


def observe(task: Conversation, attempt: Attempt) -> str | None:
    """Return what the last answer's calls return, or the next question where it calls nothing; None at the end."""
    turns = _turns(attempt)
    ended = len(turns) - 1
    if ended == len(task.questions) or len(turns[-1]) > STEPS:
        return None
    return "\n".join(_returned(task, turns)) if turns[-1] else task.questions[ended]


def verdict(task: Conversation, attempt: Attempt) -> Verdict:
    """Return what the benchmark's checker says of a whole episode."""
    turns = _turns(attempt)
    ended = len(turns) - 1
    if not any(turns):
        return failed(MISS, "no call can be read")
    if ended < len(task.questions):
        return failed(WRONG, f"the conversation ended in turn {len(turns)} of {len(task.questions)}")
    check = importlib.import_module(f"{_PACKAGE}.multi_turn_checker").multi_turn_checker
    with _fresh_simulators():
        found = check(turns[:ended], task.truth, task.entry, "multi_turn_base", _MODEL)
    return PASSED if found["valid"] else failed(WRONG, str(found["error_message"]))


def _turns(attempt: Attempt) -> list[Turn]:
    """Return what was called in each turn; the last one has not ended, and is empty behind an answer without calls."""
    turns: list[Turn] = [[]]
    for message in attempt.episode.messages:
        if message.role != "assistant":
            continue
        if calls := calls_of(message.content):
            turns[-1].append([_python(*call) for call in calls])
        else:
            turns.append([])
    return turns


def _python(name: str, arguments: dict[str, Any]) -> str:
    """Return a call as the benchmark evaluates it: of one of its functions, with literals alone."""
    if name not in _function_names() or not all(map(str.isidentifier, arguments)):
        return f"there_is_no_such_function({name!r})"
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _returned(task: Conversation, turns: Sequence[Turn]) -> list[str]:
    """Return what the calls of the last answer return, after all that were before it."""
    execute = importlib.import_module(f"{_PACKAGE}.multi_turn_utils").execute_multi_turn_func_call
    returned: list[str] = []
    with _fresh_simulators():
        for step in (step for turn in turns for step in turn):
            returned, _ = execute(step, task.entry["initial_config"], [_CLASS], _MODEL, task.entry["id"])
    return returned


@contextmanager
def _fresh_simulators() -> Iterator[None]:
    """Let the benchmark begin with new file systems, and forget them afterwards."""
    names = vars(importlib.import_module(f"{_PACKAGE}.multi_turn_utils"))
    with _ONE_AT_A_TIME:
        try:
            yield
        finally:
            for name in [name for name in names if name.startswith(f"{_MODEL}_")]:
                del names[name]

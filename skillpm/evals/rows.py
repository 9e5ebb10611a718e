"""Files of tasks: rows that synthesis held out, and rows from outside."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from skillpm.errors import DocumentError, UsageError
from skillpm.model.document import read_json_lines
from skillpm.model.evaluation import TaskRow
from skillpm.model.task import Task
from skillpm.storage.files import read_text

__all__ = ["read_held_out", "read_task_rows"]


def read_held_out(path: Path, skills: Sequence[str]) -> list[Task]:
    """Read JSON Lines of Tasks.

    Raises:
        UsageError: there is no such file, or it is empty.
        DocumentError: a row is wrong, repeated, or of a skill that is not evaluated.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}", hint="`skillpm synth` and `skillpm train` write held_out.jsonl")
    tasks: dict[str, Task] = {}
    for line, task in read_json_lines(Task, read_text(path), path=str(path)):
        problem = _problem(task, skills, tasks.keys())
        if problem is not None:
            raise DocumentError(problem, path=str(path), line=line)
        tasks[task.key] = task
    if not tasks:
        raise UsageError(f"{path} holds no task", hint="`skillpm synth` writes held_out.jsonl")
    return list(tasks.values())


def _problem(task: Task, skills: Sequence[str], seen: Container[str]) -> str | None:
    if task.skill not in skills:
        return f"a task of `{task.skill[:80]}`, which is not evaluated; evaluated are {', '.join(skills)}"
    if not task.prompt or task.prompt[-1].role != "user":
        return "a task must end with what the user said"
    systems = [message.content for message in task.prompt if message.role == "system"]
    whole = Task.of(
        skill=task.skill,
        system="\n\n".join(systems),
        request=task.request,
        expected=task.expected,
        split=task.split,
        origin=task.origin,
    )
    if len(task.prompt) <= 2 and whole.key != task.key:
        return f"the key {task.key} is not that of this task; leave rows as `skillpm synth` wrote them"
    return f"the task {task.key} stands here twice" if task.key in seen else None


def read_task_rows(path: Path) -> list[tuple[int, TaskRow]]:
    """Read JSON Lines ``{id?, request, expected?}`` with their line numbers.

    Raises:
        UsageError: there is no such file, or it is empty.
        DocumentError: a row is wrong.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}", hint='give JSON Lines of {"request": …, "expected": …}')
    rows = list(read_json_lines(TaskRow, read_text(path), path=str(path)))
    if not rows:
        raise UsageError(f"{path} holds no task", hint='give JSON Lines of {"request": …, "expected": …}')
    return rows

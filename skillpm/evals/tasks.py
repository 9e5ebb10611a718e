"""The tasks of an evaluation: suites written by hand, held-out rows of synthesis, rows from outside."""

from __future__ import annotations

import dataclasses
import marshal
import random
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from skillpm.contract.contract import Contract
from skillpm.contract.foreign_rows import foreign_rows
from skillpm.contract.tool_forms import told_tools
from skillpm.errors import DocumentError, UsageError
from skillpm.evals.outcomes import TaskNumbers
from skillpm.formats.document import model_errors, read_json_lines
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.formats.strict import strict_json
from skillpm.model.answer_kind import label_of
from skillpm.model.episode import Episode
from skillpm.model.evaluation import TaskRow
from skillpm.model.order import shuffle
from skillpm.model.suite import HELD_OUT
from skillpm.model.task import Message, Seed, Task, before_prompt, canonical_json, request_key, skill_content
from skillpm.storage.file_rows import FileRows
from skillpm.storage.files import expect_file, read_lines
from skillpm.storage.row_files import read_rows
from skillpm.worker.protocol import task_document, task_of

if TYPE_CHECKING:
    from skillpm.runtime.catalogue import Contributions

OUTSIDE = "tasks"
"""The name of the task set of rows from outside."""


@dataclass(frozen=True, slots=True)
class EvalTask:
    """One task as it is asked.

    Attributes:
        task: what it is judged by; the same in every arm, so that arms can be paired.
        prompt: what the policy reads, which differs between arms.
        before: what was answered and shown before.
    """

    suite: str
    task: Task
    prompt: tuple[Message, ...]
    before: Episode | None = None

    @property
    def reads(self) -> tuple[Message, ...]:
        """The prompt, with what was said since."""
        return self.prompt if self.before is None else (*self.prompt, *self.before.said)


def stored_tasks(tasks: Iterable[EvalTask]) -> LazySequence[EvalTask]:
    """Return tasks that nobody has answered yet; they are in a temporary file and are read one at a time."""
    rows = FileRows.temporary()
    for item in tasks:
        rows.append(marshal.dumps((item.suite, task_document(item.task))))
    return LazySequence(range(len(rows)), lambda place: _stored_task(rows[place]))


def _stored_task(row: bytes) -> EvalTask:
    suite, document = marshal.loads(row)  # noqa: S302  we wrote the file
    task = task_of(document)
    return EvalTask(suite, task, task.prompt)


class TasksByKey:
    """Tasks in a temporary file, by their keys."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._numbers = TaskNumbers()
        self._tasks = stored_tasks(EvalTask("", task, task.prompt) for task in tasks if self._is_new(task))

    def _is_new(self, task: Task) -> bool:
        count = len(self._numbers)
        return self._numbers.number(("", "", task.key)) == count

    def get(self, key: str) -> Task | None:
        """Return the task of a key, or None."""
        number = self._numbers.find(self._numbers.digest_of(("", "", key)))
        return None if number < 0 else self._tasks[number].task


def suite_tasks(contributions: Contributions, *, blind: bool = False) -> list[EvalTask]:
    """Return the tasks of every suite of one skill, in the author's order: of those that are not blind, or are.

    Raises:
        DocumentError: an expected answer breaks the skill's contract, or a request stands twice in a suite.
    """
    tasks: list[EvalTask] = []
    for suite in contributions.suites:
        if suite.blind is not blind:
            continue
        seeds = [seed for seed in suite.tasks if isinstance(seed, Seed)]
        path = f"{contributions.skill.name}/suites/{suite.name}"
        _refuse_repeats(seeds, path)
        made = (_task(contributions, seed, seed.request[:80], path) for seed in seeds)
        tasks += [EvalTask(suite.name, task, task.prompt) for task in made]
    return tasks


def _refuse_repeats(seeds: Sequence[Seed], path: str) -> None:
    """Refuse a suite that asks one request twice: it counts double, or no model can give both answers."""
    answers: dict[str, str] = {}
    for seed in seeds:
        request, answer = request_key(seed.request), canonical_json(seed.expected)
        if request in answers:
            same = answers[request] == answer
            problem = "stands here twice" if same else "has two expected answers"
            raise DocumentError(f"`{seed.request[:80]}` {problem}", path=path, hint="keep one of the two")
        answers[request] = answer


def _task(contributions: Contributions, row: Seed | TaskRow, what: str, path: str, line: int | None = None) -> Task:
    """Return the task of a row. Raises DocumentError where its answer, called ``what``, breaks the contract."""
    expected = row.expected
    is_asked = expected is None and isinstance(row, TaskRow)  # nobody knows the answer to such a row
    if contributions.contract is not None and not is_asked:
        try:
            expected = contributions.contract.complete(expected)
        except DocumentError as error:
            raise DocumentError(f"`{what}`: {error.rule}", path=path, line=line, hint=error.hint) from None
    return contributions.task(row.request, expected, row.tags)


def held_out_tasks(tasks: Iterable[Task]) -> Iterator[EvalTask]:
    """Yield rows that synthesis held out, as the task set ``held_out``."""
    return (EvalTask(HELD_OUT, task, task.prompt) for task in tasks)


def outside_tasks(
    contributions: Contributions, rows: Sequence[tuple[int, TaskRow]], *, path: str
) -> Sequence[EvalTask]:
    """Return one task for each row, in order; ``rows`` come with their line numbers.

    Raises:
        DocumentError: an expected answer breaks the skill's contract, with its line.
    """
    tasks = (_task(contributions, row, "expected", path, line) for line, row in rows)
    return stored_tasks(EvalTask(OUTSIDE, task, task.prompt) for task in tasks)


def sample(tasks: Sequence[EvalTask], limit: int, seed: int) -> list[int]:
    """Return the positions of at most ``limit`` tasks of each task set, in order."""
    return sorted(position for order in fair_orders(tasks, seed) for position in islice(order, limit))


def fair_orders(tasks: Sequence[EvalTask], seed: int) -> Iterator[Iterator[int]]:
    """Yield for each task set the positions of its tasks, in an order whose first few are a fair sample.

    Each tool of an expected answer gets its share, to less than one task, and so does each tag within it; who comes
    first is chance. A smaller sample is a part of a larger one of the same seed: two arms that were asked under two
    limits have the tasks of the smaller one in common.
    """
    sets: dict[tuple[str, str], list[int]] = {}
    for position, task in enumerate(tasks):
        sets.setdefault((task.task.skill, task.suite), []).append(position)
    for place, positions in sets.items():
        shuffle(positions, random.Random(f"{seed} {place}").getrandbits)
        by_tool = _grouped(positions, lambda position: label_of(tasks[position].task.expected))
        by_tag = [_grouped(group, lambda position: tasks[position].task.tags) for group in by_tool]
        turns = [_in_turn([len(part) for part in parts], list(map(iter, parts))) for parts in by_tag]
        yield _in_turn(list(map(len, by_tool)), turns)


def _grouped(positions: Sequence[int], kind: Callable[[int], Hashable]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for position in positions:
        groups.setdefault(kind(position), []).append(position)
    return list(groups.values())


def _in_turn(sizes: Sequence[int], groups: Sequence[Iterator[int]]) -> Iterator[int]:
    """Yield the members of groups of known sizes; the first few hold each group's share to less than one, however few.

    Source: M. L. Balinski and H. P. Young, The quota method of apportionment, American Mathematical Monthly 82 (1975)
    701-730: the next seat goes to the largest of n / (s + 1) among those whose share is not exceeded.
    """
    whole = sum(sizes)
    taken = [0] * len(groups)
    for number in range(1, whole + 1):
        below = (at for at, size in enumerate(sizes) if taken[at] * whole < size * number)
        at = max(below, key=lambda at: sizes[at] / (taken[at] + 1))
        yield next(groups[at])
        taken[at] += 1


def with_tool_schemas(tasks: Sequence[EvalTask], contracts: Mapping[str, Contract | None]) -> Sequence[EvalTask]:
    """Return the same tasks asked with the skill's tools and the form of an answer before the prompt.

    A base model that was never told the tools cannot name them: this is what it can do when it is told.
    """
    texts = {name: "" if item is None else told_tools(item) for name, item in contracts.items()}
    return _before_prompts(tasks, lambda skill: texts.get(skill, ""))


def with_skill_text(tasks: Sequence[EvalTask], texts: Mapping[str, str]) -> Sequence[EvalTask]:
    """Return the same tasks asked with each skill's own text before the prompt, as an agent that loads skills would."""
    return _before_prompts(tasks, lambda skill: skill_content(skill, texts.get(skill, "")))


def _before_prompts(tasks: Sequence[EvalTask], block: Callable[[str], str]) -> Sequence[EvalTask]:
    """Return the same tasks with the block of their skill before the prompt."""

    def asked(place: int) -> EvalTask:
        task = tasks[place]
        return dataclasses.replace(task, prompt=before_prompt(block(task.task.skill), task.prompt))

    return LazySequence(range(len(tasks)), asked)


def read_held_out(path: Path, skills: Sequence[str]) -> Sequence[Task]:
    """Return the tasks of JSON Lines. They are in a temporary file and are read one at a time.

    Raises:
        UsageError: there is no such file, or it is empty.
        DocumentError: a row is wrong, repeated, or of a skill that is not evaluated.
    """
    expect_file(path, "`skillpm synth` and `skillpm train` write held_out.jsonl")
    tasks = stored_tasks(held_out_tasks(_held_out_rows(path, skills)))
    if not tasks:
        raise UsageError(f"{path} holds no task", hint="`skillpm synth` writes held_out.jsonl")
    return LazySequence(range(len(tasks)), lambda place: tasks[place].task)


def _held_out_rows(path: Path, skills: Sequence[str]) -> Iterator[Task]:
    numbers = TaskNumbers()
    for line, task in read_json_lines(Task, read_lines(path), path=str(path)):
        problem, count = _problem(task, skills), len(numbers)
        if problem is None and numbers.number(("", "", task.key)) < count:
            problem = f"the task {task.key} stands here twice"
        if problem is not None:
            raise DocumentError(problem, path=str(path), line=line)
        yield task


def _problem(task: Task, skills: Sequence[str]) -> str | None:
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
    return None


def read_task_rows(path: Path) -> Sequence[tuple[int, TaskRow]]:
    """Return JSON Lines ``{id?, request, expected?}`` with their line numbers, or rows of another program's form.

    They are in a temporary file and are read one at a time.

    Raises:
        UsageError: there is no such file, or it is empty.
        DocumentError: a row is wrong.
    """
    expect_file(path, 'give JSON Lines of {"request": …, "expected": …}')
    rows = FileRows.temporary()
    for line, row in _rows_of(path):
        rows.append(marshal.dumps((line, row.model_dump())))
    if not rows:
        raise UsageError(f"{path} holds no task", hint='give JSON Lines of {"request": …, "expected": …}')

    def at(place: int) -> tuple[int, TaskRow]:
        line, document = marshal.loads(rows[place])  # noqa: S302  we wrote the file
        return line, TaskRow.model_validate(document)

    return LazySequence(range(len(rows)), at)


def _rows_of(path: Path) -> Iterator[tuple[int, TaskRow]]:
    lines = iter(()) if path.suffix in (".json", ".parquet") else read_lines(path)
    first = next((line for line in lines if line.strip()), "")
    if first and _is_ours(first):
        yield from read_json_lines(TaskRow, read_lines(path), path=str(path))
        return
    for row in foreign_rows(read_rows(path), path=str(path)):
        given = {"request": row.request, "expected": row.expected, **_known(row.document, ("id", "tags"))}
        try:
            yield row.line, TaskRow.model_validate(given)
        except ValidationError as error:
            raise model_errors(error, given, path=str(path), line=row.line)[0] from None


def _is_ours(line: str) -> bool:
    """Does a row have our keys? What is no JSON object counts, so that it is refused as one of ours."""
    try:
        row = strict_json(line)
    except (ValueError, RecursionError):
        return True
    if not isinstance(row, dict):
        return True
    return "request" in row and ("expected" in row or "answer" not in row)


def _known(document: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: document[name] for name in names if isinstance(document.get(name), str | int | list | tuple)}

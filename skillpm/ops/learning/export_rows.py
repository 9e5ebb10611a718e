"""``skillpm export rows``: the tasks of a synthesis in the forms that trainers read, a row at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from skillpm.contract.foreign_rows import encode, typed_column
from skillpm.errors import UsageError
from skillpm.formats.parquet import write_parquet
from skillpm.model.task import Task, canonical_json
from skillpm.ops.learning.synth import read_tasks
from skillpm.storage.files import DiskErrors
from skillpm.storage.whole_folder import whole_folder

SPLITS = ("train", "held_out")
_WINDOW = 64  # tasks among which the wrong answer of a pair is looked for


def export_rows(data: Path, form: str, output: Path) -> dict[str, int]:
    """Write train and held_out of a synthesis in one of ``ROW_FORMS`` into a new folder; return the rows of each.

    Args:
        data: a folder of ``skillpm synth``.
        form: its name.
        output: the new folder.

    Raises:
        UsageError: there is no synthesis, no row has the form, the folder exists, or pyarrow is missing.
        DocumentError: a row is wrong.
    """
    paths = {split: data / f"{split}.jsonl" for split in SPLITS if (data / f"{split}.jsonl").is_file()}
    if not paths:
        raise UsageError(f"{data} has no rows", hint="`skillpm synth NAME --output DIR` writes train.jsonl")
    counts: dict[str, int] = {}
    with whole_folder(output) as folder:
        for split, path in paths.items():
            counts[split] = 0

            def counted(rows: Iterator[dict[str, Any]], split: str = split) -> Iterator[dict[str, Any]]:
                for row in rows:
                    counts[split] += 1
                    yield row

            rows = counted(ROW_FORMS[form](task for task in read_tasks(path) if not task.first))
            if form == "parquet":
                write_parquet(folder / f"{split}.parquet", rows)
            else:
                _write_lines(folder / f"{split}.jsonl", rows)
        if not any(counts.values()):
            raise UsageError(f"no row of {data} has the form `{form}`", hint="make more rows with `skillpm synth`")
    return counts


def _write_lines(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    with DiskErrors("write", path), path.open("x", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


def _prompt(task: Task) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in task.prompt]


def _messages(tasks: Iterator[Task]) -> Iterator[dict[str, Any]]:
    """Yield conversations whose answer is the text that the skill's prompt asks for."""
    for task in tasks:
        answer = {"role": "assistant", "content": encode(task.expected)}
        yield {"messages": [*_prompt(task), answer], **typed_column(task.expected)}


def _tool_calls(tasks: Iterator[Task]) -> Iterator[dict[str, Any]]:
    """Yield conversations whose answer is a native call of a tool, where it is a call."""
    for task in tasks:
        answer: dict[str, Any] = {"role": "assistant", "content": encode(task.expected)}
        typed = typed_column(task.expected)
        if isinstance(task.expected, dict) and task.expected.keys() == {"tool", "args"}:
            arguments = json.dumps(task.expected["args"], ensure_ascii=False)
            function = {"name": task.expected["tool"], "arguments": arguments}
            call = {"id": "call_1", "type": "function", "function": function}
            answer, typed = {"role": "assistant", "content": None, "tool_calls": [call]}, {}
        yield {"messages": [*_prompt(task), answer], **typed}


def _prompt_completion(tasks: Iterator[Task]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        completion = [{"role": "assistant", "content": encode(task.expected)}]
        yield {"prompt": _prompt(task), "completion": completion, **typed_column(task.expected)}


def _preferences(tasks: Iterator[Task]) -> Iterator[dict[str, Any]]:
    """Yield pairs of the right answer and of that to another request near by; a like one where there is one.

    A task none of whose neighbours has another answer makes no pair.
    """
    window: list[Task] = []
    for task in tasks:
        window.append(task)
        if len(window) == _WINDOW:
            yield from _pairs(window)
            window = []
    yield from _pairs(window)


def _pairs(window: list[Task]) -> Iterator[dict[str, Any]]:
    for place, task in enumerate(window):
        right = canonical_json(task.expected)
        others = [
            other
            for other in window[place + 1 :] + window[:place]
            if other.skill == task.skill and canonical_json(other.expected) != right
        ]
        if others:
            like = (other for other in others if _tool(other.expected) == _tool(task.expected))
            wrong = next(like, others[0])
            sides = {"chosen": task.expected, "rejected": wrong.expected}
            answers = {side: [{"role": "assistant", "content": encode(value)}] for side, value in sides.items()}
            yield {"prompt": _prompt(task), **answers, **typed_column(task.expected)}


def _tool(expected: Any) -> Any:
    return expected.get("tool") if isinstance(expected, dict) else None


def _texts(tasks: Iterator[Task]) -> Iterator[dict[str, str]]:
    """Yield rows of texts: a table gives a column one type, so the value of an answer is a text of JSON."""
    for task in tasks:
        system = "\n\n".join(message.content for message in task.prompt if message.role == "system")
        words = {"key": task.key, "skill": task.skill, "system": system, "request": task.request}
        answer = {"expected": encode(task.expected), "expected_json": json.dumps(task.expected, ensure_ascii=False)}
        yield {**words, **answer, "origin": task.origin, "tags": json.dumps(task.tags)}


ROW_FORMS: dict[str, Callable[[Iterator[Task]], Iterator[dict[str, Any]]]] = {
    "messages": _messages,
    "tool-calls": _tool_calls,
    "prompt-completion": _prompt_completion,
    "preferences": _preferences,
    "parquet": _texts,
}

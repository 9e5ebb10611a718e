"""Data Designer: the training tasks of a skill as seeds, and a configuration that has a model say them in other words.

The target comes first, so a wording cannot change a label: it can only lose a value, which a validator of the
configuration sees. Source: NVIDIA-NeMo/DataDesigner 0.9, ``LocalFileSeedSource`` and ``LocalCallableValidatorParams``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skillpm.plugin import Contributions, Task, UsageError
from skillpm_bridges.rows import module_name, tasks_of, write_rows, write_template


def export(given: Mapping[str, Contributions], folder: Path) -> None:
    """Write a folder for each skill. Raises UsageError where a skill has no training task."""
    for skill in given.values():
        tasks = tasks_of(skill).get("train")
        if not tasks:
            raise UsageError(f"{skill.skill.name} has no training task", hint="add seeds, or rows with `--data`")
        place = folder / module_name(skill)
        write_rows(place / "tasks.jsonl", map(_row, tasks))
        words = {"SKILL": skill.skill.name, "VERSION": skill.skill.version, "MODULE": place.name}
        write_template("data_designer/config.py", place / "config.py", **words)
        write_template("data_designer/README.md", place / "README.md", **words)


def _row(task: Task) -> dict[str, Any]:
    """Return a task with the values that its request says word for word, as JSON texts: parquet widens types."""
    said = sorted({value for value in _values(task.expected) if _says(task.request, value)})
    return {"request": task.request, "answer": json.dumps(task.expected), "said": json.dumps(said)}


def _says(text: str, value: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _values(expected: Any) -> Iterator[str]:
    """Yield the texts and numbers of an answer; of a call, those of its arguments alone."""
    if isinstance(expected, dict):
        yield from _values(expected["args"] if "args" in expected else list(expected.values()))
    elif isinstance(expected, list):
        for value in expected:
            yield from _values(value)
    elif expected not in (None, "") and not isinstance(expected, bool):
        yield str(expected)

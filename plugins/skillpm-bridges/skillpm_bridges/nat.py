"""NeMo Agent Toolkit: a skill as a function of a workflow, its verifier as an evaluator, and an evaluation of each set.

Source: NVIDIA/NeMo-Agent-Toolkit 1.9, ``nat.plugin_api`` and ``nat eval``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from skillpm.plugin import Contributions
from skillpm_bridges.rows import module_name, tasks_of, write_package, write_rows, write_template


def export(given: Mapping[str, Contributions], folder: Path) -> None:
    """Write a package and its evaluations. Raises UsageError where a skill has no task, or nothing judges it."""
    for skill in given.values():
        place = folder / module_name(skill)
        words = write_package(skill, place / place.name)
        for name in ("README.md", "pyproject.toml"):
            write_template(f"nat/{name}", place / name, **words)
        for name in ("__init__.py", "register.py"):
            write_template(f"nat/{name}", place / place.name / name, **words)
        for split, tasks in tasks_of(skill).items():
            rows = ({"id": item.key, "question": item.request, "answer": json.dumps(item.expected)} for item in tasks)
            write_rows(place / f"{split}.jsonl", rows)
            write_template("nat/eval.yml", place / f"{split}.yml", **{**words, "SPLIT": split})

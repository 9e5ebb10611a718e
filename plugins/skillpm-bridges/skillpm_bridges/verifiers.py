"""Environments of verifiers (``verifiers.v1``): one package for each skill, with its tasks and its judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skillpm.plugin import Contributions
from skillpm_bridges.rows import module_name, system_prompt, tasks_of, write_judge, write_rows, write_template


def export(given: Mapping[str, Contributions], folder: Path) -> None:
    """Write the packages. Raises UsageError where a skill has no task, or nothing judges its answers."""
    for skill in given.values():
        sets, module = tasks_of(skill), module_name(skill)
        package = folder / module / module
        write_judge(skill, package)
        for split, tasks in sets.items():
            rows = ({"key": task.key, "request": task.request, "expected": task.expected} for task in tasks)
            write_rows(package / f"{split}.jsonl", rows)
        (package / "prompt.txt").write_text(system_prompt(skill), encoding="utf-8")
        words = {
            "MODULE": module,
            "SKILL": skill.skill.name,
            "VERSION": skill.skill.version,
            "REWARD": skill.default_reward,
            "SPLIT": next(iter(sets)),
            "SPLITS": ", ".join(f'"{split}"' for split in sets),
        }
        write_template("verifiers/pyproject.toml", folder / module / "pyproject.toml", **words)
        write_template("verifiers/README.md", folder / module / "README.md", **words)
        write_template("verifiers/taskset.py.txt", package / "taskset.py", **words)
        write_template("verifiers/init.py.txt", package / "__init__.py", **words)

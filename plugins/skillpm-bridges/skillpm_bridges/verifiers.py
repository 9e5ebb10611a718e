"""Environments of verifiers (``verifiers.v1``): one package for each skill, with its tasks and its judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skillpm.plugin import Contributions
from skillpm_bridges.rows import module_name, write_package, write_tasks, write_template


def export(given: Mapping[str, Contributions], folder: Path) -> None:
    """Write the packages. Raises UsageError where a skill has no task, or nothing judges its answers."""
    for skill in given.values():
        place = folder / module_name(skill)
        words = write_package(skill, place / place.name)
        write_tasks(skill, place / place.name)
        for name in ("README.md", "pyproject.toml"):
            write_template(f"verifiers/{name}", place / name, **words)
        for name in ("__init__.py", "taskset.py"):
            write_template(f"verifiers/{name}", place / place.name / name, **words)

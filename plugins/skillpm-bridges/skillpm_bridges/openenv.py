"""Environments of OpenEnv: one package for each skill, laid out as ``openenv init`` lays out its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skillpm.plugin import Contributions
from skillpm_bridges.rows import module_name, write_package, write_tasks, write_template

_FILES = ("README.md", "openenv.yaml", "pyproject.toml", "__init__.py", "client.py", "models.py")
_SERVER = ("__init__.py", "app.py", "environment.py")


def export(given: Mapping[str, Contributions], folder: Path) -> None:
    """Write the packages. Raises UsageError where a skill has no task, or nothing judges its answers."""
    for skill in given.values():
        package = folder / module_name(skill)
        words = write_package(skill, package)
        write_tasks(skill, package)
        for name in (*_FILES, *(f"server/{name}" for name in _SERVER)):
            write_template(f"openenv/{name}", package / name, **words)

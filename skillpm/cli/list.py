"""``skillpm list``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.output import NOTHING_INSTALLED, echo_json, json_option, note, safe, table

if TYPE_CHECKING:
    from skillpm.ops.project.list import ListedSkill

_WIDTH = 60  # characters of a description in the table


@click.command("list", epilog="Example: skillpm list --json")
@click.option("--user", is_flag=True, help="List your home folder.")
@json_option
def command(user: bool, as_json: bool) -> None:
    """List installed skills and training runs."""
    from skillpm.ops.project.list import list_project

    project = list_project(command_context(user=user))
    if as_json:
        echo_json(project)
        return
    if project.skills:
        _print(project.skills)
    else:
        note(NOTHING_INSTALLED)
    if project.runs:
        table(("run", "state"), [(run.name, run.state) for run in project.runs])


def _print(skills: Sequence[ListedSkill]) -> None:
    """Print the skills, and where they are: once, where that is the same for all."""
    folders = [", ".join(folder.rpartition("/")[0] for folder in skill.folders) for skill in skills]
    differ = len(set(folders)) > 1
    columns = ["skill", "version", "state", "source", *(["folders"] if differ else []), "description"]
    table(
        columns,
        [
            [
                skill.name,
                skill.version,
                skill.state,
                skill.source,
                *([where] if differ else []),
                _short(skill.description),
            ]
            for skill, where in zip(skills, folders, strict=True)
        ],
    )
    if not differ:
        note(f"folders: {safe(folders[0]) or '-'}")


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"

"""``skillpm list``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context, note_nothing_installed
from skillpm.cli.options import user_option
from skillpm.cli.output import brief, clipped, json_option, note, print_json, shown, table

if TYPE_CHECKING:
    from skillpm.ops.project.list import ListedSkill

_WIDTH = 60  # characters of a description in the table


@click.command("list", epilog="Example: skillpm list --json")
@user_option("List the skills of your home folder.")
@json_option
def command() -> None:
    """List installed skills. `skillpm runs list` lists training runs.

    A skill is `stale` if a folder has another release than skillpm.lock, `surplus` if skillpm.lock does not have it,
    `unstored` if its folder has it and this machine's store does not, as in a clone. `skillpm sync` mends all of them.
    """
    from skillpm.ops.project.list import list_project

    context = command_context()
    project = list_project(context)
    if print_json(project):
        return
    if project.skills:
        _print(project.skills)
    else:
        note_nothing_installed(context)
    for warning in project.warnings:
        note(f"warning: {warning}")


def _print(skills: Sequence[ListedSkill]) -> None:
    """Print the skills. Their folders are a column, or one line if all are the same."""
    folders = [", ".join(folder.rpartition("/")[0] for folder in skill.folders) for skill in skills]
    differ = len({*folders} - {""}) > 1
    columns = ["skill", "version", "state", "source", *(["folders"] if differ else []), "description"]
    rows = []
    for skill, where in zip(skills, folders, strict=True):
        place = [where] if differ else []
        description = clipped(skill.description, _WIDTH)
        rows.append([skill.name, shown(skill.version), _state(skill), brief(skill.source), *place, description])
    table(columns, rows)
    if not differ:
        note(f"folders: {max(folders) or '-'}")
    if any(skill.state in ("missing", "unstored") for skill in skills):
        note("next: run `skillpm install` to put back what is missing")


def _state(skill: ListedSkill) -> str:
    """Return the state, with the version that stands in the folders, or with the reason."""
    if skill.state == "behind":
        return f"behind: {skill.reason}"
    state = f"stale: {shown(skill.installed)}" if skill.state == "stale" and skill.installed else skill.state
    return f"{state}, calibrated" if skill.calibrated else state

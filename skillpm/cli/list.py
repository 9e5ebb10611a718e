"""``skillpm list``."""

from __future__ import annotations

import click

from skillpm.cli.output import echo_json, json_option, note, table

__all__ = ["command"]

_WIDTH = 60  # characters of a description in the table


@click.command("list", epilog="Example: skillpm list --json")
@click.option("--user", is_flag=True, help="List your home folder.")
@json_option
def command(user: bool, as_json: bool) -> None:
    """List installed skills and training runs."""
    from skillpm.ops.context import open_context
    from skillpm.ops.list import list_project
    from skillpm.settings import load_settings

    found = list_project(open_context(load_settings(user=user)))
    if as_json:
        echo_json(found.document())
        return
    if found.skills:
        columns = ("skill", "version", "state", "source", "folders", "description")
        table(
            columns,
            [
                (
                    skill.name,
                    skill.version,
                    skill.state,
                    skill.source,
                    " ".join(skill.folders),
                    _short(skill.description),
                )
                for skill in found.skills
            ],
        )
    else:
        note("no skill is installed here; `skillpm install NAME` installs one")
    if found.runs:
        table(("run", "state"), [(run.name, run.state) for run in found.runs])


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"

"""``skillpm init``."""

from __future__ import annotations

import click

from skillpm.cli.context import command_context
from skillpm.cli.options import agents_option, indexes_option
from skillpm.cli.output import count, json_option, note, print_json


@click.command("init", epilog="Example: skillpm init --agent claude-code")
@indexes_option("Add this registry to the file")
@agents_option("Add this agent to the file; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the file; write nothing.")
@json_option
def command(agents: tuple[str, ...], dry_run: bool) -> None:
    """Write skillpm.yaml, the project file, with the requirements in skillpm.lock.

    The file is written to the working directory, and commands find it from every folder below. An existing file is
    never overwritten.
    """
    from pathlib import Path

    from skillpm.clients.folders import agent_folders
    from skillpm.ops.project.project_file import init

    agent_folders(agents)
    context = command_context(project=Path.cwd(), agent=agents)
    project = init(context, dry_run=dry_run)
    if print_json(project):
        return
    if dry_run:
        click.echo(project.text, nl=False)
    lock = context.settings.lock_path
    files = f"{project.path.name} and its requirements into {lock.name}" if lock.exists() else project.path.name
    note(f"{'would write' if dry_run else 'wrote'} {files}: {count(len(project.requires), 'requirement')}")
    if not project.requires:
        note("next: add skills with `skillpm install NAME`")

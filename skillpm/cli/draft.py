"""``skillpm draft``."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.context import command_context
from skillpm.cli.options import model_option
from skillpm.cli.output import clipped, count, json_option, note, print_json, table
from skillpm.cli.paths import TypedPath

_WIDTH = 60  # characters of a request in the table


@click.command("draft", epilog="Example: skillpm draft my-skill --dry-run")
@click.argument("path", type=TypedPath(exists=True, file_okay=False), default=Path())
@model_option("Let this model write more requests; it must answer each rightly.")
@click.option("--dry-run", is_flag=True, help="Print the rows; write nothing.")
@json_option
def command(path: Path, model: str | None, dry_run: bool) -> None:
    """Draft a contract, seeds and a suite from the commands that the text of the skill in PATH shows.

    Reads fenced shell commands, the sentence or comment beside each, and tables or lists of options. Each row fits the
    contract. Read what was written: it has the values of the text, and only the options that the text shows.
    """
    from skillpm.ops.authoring.draft import draft, write

    policy = None
    if model is not None:
        from skillpm.ops.learning.answerer import Answerer
        from skillpm.ops.learning.models import PolicyRequest, load_policy

        context = command_context()
        writer = Answerer.of_model(context, model)
        policy = load_policy(PolicyRequest(writer.model, writer.adapter, batch_size=8), context)
    drafted = draft(path, policy)
    if not dry_run:
        write(path, drafted.files)
    if print_json(drafted):
        return
    table(("request", "command"), [(clipped(said, _WIDTH), text) for said, text in drafted.rows])
    for line, reason in drafted.refused:
        note(f"SKILL.md:{line} gives no row: {reason}")
    if model is not None:
        note(f"{count(drafted.written, 'row')} of the model stayed")
    verb = "would write" if dry_run else "wrote"
    note(f"{verb} {', '.join(drafted.files)}; next: read them, then `skillpm validate {path}`")

"""``skillpm export``: skills in the form of another system."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.consent import grant_consents, worker_options, yes_option
from skillpm.cli.output import echo_json, json_option, note, safe
from skillpm.cli.paths import TypedPath


@click.command("export", epilog="Example: skillpm export nemo-gym incident-triage --output build/gym")
@click.argument("exporter")
@click.argument("skills", nargs=-1, metavar="[SKILL]...")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", required=True, help="A new folder for the files.")
@yes_option
@worker_options
@json_option
def command(
    exporter: str,
    skills: tuple[str, ...],
    output: Path,
    yes: bool,
    workers: int | None,
    sandbox: str | None,
    as_json: bool,
) -> None:
    """Write SKILLs (all installed ones where none is named) as EXPORTER does, which a plugin brings.

    `skillpm plugins` lists the plugins; docs/hooks.md says how to write one.
    """
    from skillpm.ops.context import open_context
    from skillpm.ops.learning.export import export
    from skillpm.settings import load_settings

    context = open_context(load_settings(workers=workers, sandbox=sandbox))
    found = context.skills(skills)
    for notice in context.notices:
        note(notice)
    grant_consents(context, found, yes)
    files = export(context, exporter, found, output)
    if as_json:
        echo_json({"output": str(output), "files": files})
        return
    for file in files:
        click.echo(safe(output / file))

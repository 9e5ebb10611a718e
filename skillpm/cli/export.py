"""``skillpm export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skillpm.cli.complete import known_names
from skillpm.cli.consent import agreed_skills, worker_options, yes_option
from skillpm.cli.output import echo_json, json_option, safe
from skillpm.cli.paths import TypedPath


@click.command("export", epilog="Example: skillpm export nemo-gym incident-triage --output build/gym")
@click.argument("exporter")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", required=True, help="A new folder for the files.")
@yes_option
@worker_options
@json_option
def command(exporter: str, skills: tuple[str, ...], output: Path, as_json: bool, **agreement: Any) -> None:
    """Write SKILLs, by default all installed skills, with the EXPORTER of a plugin.

    `skillpm plugins` lists the plugins. docs/hooks.md explains how to write one.
    """
    from skillpm.ops.learning.export import export

    context, chosen = agreed_skills(skills, **agreement)
    files = export(context, exporter, chosen, output)
    if as_json:
        echo_json({"output": str(output), "files": files})
        return
    for file in files:
        click.echo(safe(output / file))

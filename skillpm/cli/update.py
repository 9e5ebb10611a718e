"""``skillpm update``."""

from __future__ import annotations

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.install import Placing, placing_options, render
from skillpm.cli.output import json_option


@click.command("update", epilog="Example: skillpm update incident-triage --dry-run")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@placing_options
@json_option
def command(names: tuple[str, ...], as_json: bool, **placing: object) -> None:
    """Take the newest releases that are allowed, of all skills or of NAMEs, lock and install them.

    A skill whose files were edited is left alone, and the command refused, unless --force keeps the edited one as
    NAME.orig.
    """
    from skillpm.ops.project.sync import update

    place = Placing.of(placing)
    render(update(place.context(), names, place.options()), as_json=as_json)

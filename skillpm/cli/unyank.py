"""``skillpm unyank``: take a yanked release back in."""

from __future__ import annotations

import click

from skillpm.cli.output import json_option
from skillpm.cli.yank import run_yank


@click.command("unyank", epilog="Example: skillpm unyank demo==1.2.0 --registry /srv/skills")
@click.argument("release", metavar="NAME==VERSION")
@click.option("--registry", metavar="PLACE", required=True, help="A folder, file://…, or the name of a known registry.")
@json_option
def command(release: str, registry: str, as_json: bool) -> None:
    """Let a yanked release be chosen again."""
    run_yank(release, registry, None, as_json=as_json)

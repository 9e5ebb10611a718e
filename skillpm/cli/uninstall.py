"""``skillpm uninstall``."""

from __future__ import annotations

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.context import changing_context
from skillpm.cli.output import json_option


@click.command("uninstall", epilog="Example: skillpm uninstall langgraph-cli")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=installed_names)
@click.option("--user", is_flag=True, help="Uninstall from your home folder.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--force", is_flag=True, help="Keep an edited skill as NAME.orig, instead of refusing.")
@json_option
def command(names: tuple[str, ...], user: bool, dry_run: bool, force: bool, as_json: bool) -> None:
    """Remove skills from this project and its skillpm.yaml, with the dependencies that nothing else needs."""
    from skillpm.cli.install import render
    from skillpm.ops.project.install import InstallOptions
    from skillpm.ops.project.uninstall import uninstall

    options = InstallOptions(dry_run=dry_run, force=force)
    render(uninstall(changing_context(user=user), names, options), as_json=as_json)

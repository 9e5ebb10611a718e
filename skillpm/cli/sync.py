"""``skillpm sync`` and ``skillpm update``."""

from __future__ import annotations

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.install import Placing, placing_options, render
from skillpm.cli.output import json_option
from skillpm.errors import UsageError


@click.command("sync", epilog="Example: skillpm sync --frozen")
@click.option("--locked", is_flag=True, help="Exit 7 if the lock is out of date, instead of updating it.")
@click.option("--frozen", is_flag=True, help="Use the lock as it is; never write it.")
@placing_options
@json_option
def command(locked: bool, frozen: bool, as_json: bool, **placing: object) -> None:
    """Install the skills that skillpm.yaml requires into agents' folders, and remove all others.

    The lock is updated first, with as few changes as possible.
    """
    from skillpm.ops.project.installation import unchanged

    if locked and frozen:
        raise UsageError(
            "`--locked` and `--frozen` exclude each other",
            hint="remove one of them: `--locked` refuses a lock that is out of date, `--frozen` uses it",
        )
    place = Placing.of(placing)
    installation = unchanged(place.settings, place.folders, place.link, frozen=frozen)
    if installation is None:
        from skillpm.ops.project.sync import LockMode, sync

        mode = LockMode.FROZEN if frozen else LockMode.LOCKED if locked else LockMode.RENEWED
        installation = sync(place.context(), place.options(), mode)
    render(installation, as_json=as_json)


@click.command("update", epilog="Example: skillpm update incident-triage --dry-run")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@placing_options
@json_option
def update(names: tuple[str, ...], as_json: bool, **placing: object) -> None:
    """Lock and install the newest allowed releases of all skills or of NAMEs.

    An edited skill makes the command fail, unless --force keeps the edited folder in .skillpm/kept.
    """
    from skillpm.ops.project import sync

    place = Placing.of(placing)
    render(sync.update(place.context(), names, place.options()), as_json=as_json)

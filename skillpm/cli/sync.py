"""``skillpm sync``."""

from __future__ import annotations

import click

from skillpm.cli.install import Placing, placing_options, render
from skillpm.cli.output import json_option
from skillpm.errors import UsageError


@click.command("sync", epilog="Example: skillpm sync --frozen")
@click.option("--locked", is_flag=True, help="Refuse a lock that is out of date (exit 7), instead of renewing it.")
@click.option("--frozen", is_flag=True, help="Take the lock as it is; never write it.")
@placing_options
@json_option
def command(locked: bool, frozen: bool, as_json: bool, **placing: object) -> None:
    """Make the agents' folders hold what skillpm.yaml requires, no more and no less.

    The lock is brought up to date first, with as few changes as will do.
    """
    from skillpm.ops.project.installation import unchanged

    if locked and frozen:
        raise UsageError(
            "`--locked` and `--frozen` exclude each other",
            hint="`--locked` refuses a lock that is out of date, `--frozen` takes it: give one of them",
        )
    place = Placing.of(placing)
    installation = unchanged(place.settings, place.folders, place.link, frozen=frozen)
    if installation is None:
        from skillpm.ops.project.sync import LockMode, sync

        mode = LockMode.FROZEN if frozen else LockMode.LOCKED if locked else LockMode.RENEWED
        installation = sync(place.context(), place.options(), mode)
    render(installation, as_json=as_json)

"""``skillpm yank``: take a release out of new resolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, note, safe

if TYPE_CHECKING:
    from skillpm.ops.authoring.publish import Yanking


@click.command("yank", epilog='Example: skillpm yank demo==1.2.0 --registry /srv/skills --reason "loses data"')
@click.argument("release", metavar="NAME==VERSION")
@click.option("--registry", metavar="PLACE", required=True, help="A folder, file://…, or the name of a known registry.")
@click.option("--reason", required=True, help="What is wrong; those who ask for this release are told.")
@json_option
def command(release: str, registry: str, reason: str, as_json: bool) -> None:
    """Take a release out of new resolutions; whoever has it locked keeps it, and nothing is deleted."""
    run_yank(release, registry, reason, as_json=as_json)


def run_yank(release: str, registry: str, reason: str | None, *, as_json: bool) -> None:
    """Yank a release for a reason, or take it back in, and say what became of it."""
    from skillpm.ops.authoring.publish import open_publishing, yank

    yanking = yank(open_publishing(registry, command_context()), release, reason)
    if as_json:
        echo_json(yanking)
    else:
        note(_sentence(yanking))


def _sentence(yanking: Yanking) -> str:
    release = f"{yanking.name} {yanking.version}"
    if yanking.reason is None:
        return f"{release} is {'no longer yanked' if yanking.changed else 'not yanked; nothing changed'}"
    return f"{release} is {'now' if yanking.changed else 'already'} yanked: {safe(yanking.reason)}"

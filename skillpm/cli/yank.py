"""``skillpm yank``, ``skillpm unyank`` and ``skillpm deprecate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.context import command_context
from skillpm.cli.options import place_option
from skillpm.cli.output import json_option, safe, tell

if TYPE_CHECKING:
    from skillpm.model.release import Status
    from skillpm.ops.authoring.publish import Recall


@click.command("yank", epilog='Example: skillpm yank demo==1.2.0 --registry /srv/skills --reason "loses data"')
@click.argument("release", metavar="NAME==VERSION")
@place_option
@click.option("--reason", required=True, help="What is wrong; shown to everyone who requires this release.")
@json_option
def command(release: str, registry: str, reason: str) -> None:
    """Exclude a release from new resolutions. Existing locks keep it, and nothing is deleted."""
    _yank(release, registry, reason)


@click.command("unyank", epilog="Example: skillpm unyank demo==1.2.0 --registry /srv/skills")
@click.argument("release", metavar="NAME==VERSION")
@place_option
@json_option
def unyank(release: str, registry: str) -> None:
    """Allow new resolutions to choose a yanked release again."""
    _yank(release, registry, None)


def _yank(release: str, registry: str, reason: str | None) -> None:
    """Yank a release for a reason, or unyank it if ``reason`` is None, and print the outcome."""
    from skillpm.ops.authoring.publish import open_publishing, recall

    yanking = recall(open_publishing(registry, command_context()), "yanked", release, reason)
    tell(yanking, _sentence(yanking))


@click.command("deprecate", epilog='Example: skillpm deprecate demo --registry /srv/skills --reason "use demo-next"')
@click.argument("name")
@place_option
@click.option("--reason", default="", help="What to use instead; shown to everyone who installs the skill.")
@click.option("--archived", is_flag=True, help="Nobody maintains the skill, and nothing replaces it.")
@click.option("--undo", is_flag=True, help="The skill is maintained again.")
@json_option
def deprecate(name: str, registry: str, reason: str, archived: bool, undo: bool) -> None:
    """Say that another skill replaces NAME. It stays installable, and installs warn of it."""
    from skillpm.ops.authoring.publish import open_publishing, set_status

    status: Status = "active" if undo else "archived" if archived else "deprecated"
    change = set_status(open_publishing(registry, command_context()), name, status, reason)
    tell(change, f"{change.name} is {'now' if change.changed else 'already'} {change.status}")


def _sentence(yanking: Recall) -> str:
    release = f"{yanking.name} {yanking.version}"
    if yanking.reason is False:
        return f"{release} is {'no longer yanked' if yanking.changed else 'not yanked; nothing changed'}"
    return f"{release} is {'now' if yanking.changed else 'already'} yanked: {safe(yanking.reason)}"

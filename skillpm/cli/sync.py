"""``skillpm sync`` and ``skillpm update``."""

from __future__ import annotations

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.complete import installed_names
from skillpm.cli.install import Placing, placing_options, render
from skillpm.cli.output import json_option, note
from skillpm.errors import UsageError


@click.command("sync", epilog="Example: skillpm sync --frozen")
@click.option("--locked", is_flag=True, help="Exit 7 if the lock is out of date, instead of updating it.")
@click.option("--frozen", is_flag=True, help="Use the lock as it is; never write it.")
@placing_options
@json_option
def command(locked: bool, frozen: bool, **placing: object) -> None:
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
    installation = unchanged(place.settings, place.folders, place.link, frozen=frozen) if place.plain else None
    if installation is None:
        from skillpm.ops.project.sync import sync

        installation = sync(place.context(), place.options(), locked=locked, frozen=frozen)
    render(installation)
    if not is_set("json") and place.agents and all(skill.change == "kept" for skill in installation.skills):
        _tell_filled(place)


def _tell_filled(place: Placing) -> None:
    """Print, for each agent of the command, that its folder has all skills, and how to add an agent to the project."""
    from skillpm.clients.folders import agent_folders, named_agents

    settings = place.settings
    for name in named_agents(place.agents, project=settings.root):
        folder = agent_folders((name,), user=settings.user)[-1]
        listed = settings.document is None or settings.document.agents is None or name in settings.document.agents
        more = "" if listed else f"; `skillpm install --agent {name}` adds it to `agents` in skillpm.yaml"
        note(f"{name} reads {folder}, which has all skills already{more}")


@click.command("update", epilog="Example: skillpm update incident-triage --dry-run")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@placing_options
@json_option
def update(names: tuple[str, ...], **placing: object) -> None:
    """Lock and install the newest allowed releases of all skills or of NAMEs.

    An edited skill makes the command fail, unless --force keeps the edited folder in .skillpm/kept.
    """
    from skillpm.ops.project import sync

    place = Placing.of(placing)
    render(sync.update(place.context(), names, place.options()))

"""``skillpm registry``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from skillpm.cli.misuse import Group
from skillpm.cli.output import echo_json, json_option, note, safe
from skillpm.cli.owner import registry_option
from skillpm.cli.paths import TypedPath


@click.group("registry", cls=Group)
def command() -> None:
    """Make a registry, a folder to which many people can publish at once; or report a skill to a registry's owners."""


@command.command("init", epilog="Example: skillpm registry init /srv/skills --name team")
@click.argument("folder", type=TypedPath(file_okay=False))
@click.option("--name", help="The registry's name.  [default: the folder's name]")
@json_option
def init(folder: Path, name: str | None, as_json: bool) -> None:
    """Make FOLDER a registry. `publish` never makes one, so a mistyped path is an error.

    To share it with a group, run `chgrp GROUP FOLDER` and `chmod g+ws FOLDER` before the first publish. Everything in
    the registry gets the folder's rights.
    """
    from skillpm.index.folder_registry import make_registry

    is_new = make_registry(folder, name or folder.resolve().name)
    if as_json:
        echo_json({"path": str(folder), "made": is_new})
    else:
        click.echo(folder)
        note(f"made a registry in {safe(folder)}" if is_new else f"{safe(folder)} is already a registry")
        note(f"next: `skillpm publish PATH --registry {shlex.quote(str(folder.resolve()))}`")


@command.command(
    "report", epilog='Example: skillpm registry report demo==1.0 --reason "sends files away" --at run.sh:3'
)
@click.argument("release", metavar="NAME[==VERSION]")
@click.option("--reason", required=True, help="What is wrong.")
@click.option("--at", "places", multiple=True, metavar="FILE[:LINE]", help="Where to look.")
@registry_option
@json_option
def report(release: str, reason: str, places: tuple[str, ...], registry: str, as_json: bool) -> None:
    """Report a skill to the owners of a registry with a server. They can put it into quarantine."""
    from skillpm.cli.context import command_context
    from skillpm.ops.authoring.account import report as send
    from skillpm.ops.authoring.account import server

    name, _, version = release.partition("==")
    entry = send(server(command_context(), registry), name, version, reason, places)
    if as_json:
        echo_json(entry)
    else:
        click.echo(entry["id"])
        note(f"reported {safe(release)}; the number of the report is {entry['id']}")

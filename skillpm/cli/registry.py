"""``skillpm registry``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from skillpm.cli.misuse import Group
from skillpm.cli.output import echo_json, json_option, note, safe
from skillpm.cli.paths import TypedPath


@click.group("registry", cls=Group)
def command() -> None:
    """Make a registry: a folder to which many people can publish at once, without a server."""


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

"""``skillpm import``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.install import Placing, placing_options, render
from skillpm.cli.output import json_option, note, print_json, table
from skillpm.cli.paths import TypedPath
from skillpm.errors import CheckError

if TYPE_CHECKING:
    from skillpm.model.ports import ForeignLock
    from skillpm.ops.context import Context
    from skillpm.ops.project.installation import Installation


@click.command("import", epilog="Example: skillpm import skills-lock.json --install")
@click.argument("file", type=TypedPath(exists=True, dir_okay=False))
@click.option("--install", "installing", is_flag=True, help="Install the requirements.")
@placing_options
@json_option
def command(file: Path, installing: bool, **placing: object) -> None:
    """Import the lock of another skill manager as requirements.

    Reads skills-lock.json, .skill-lock.json, apm.lock.yaml, and the files that installed plugins read. Prints the
    requirements; with --install, installs them with the other options. Exits 1 if an entry cannot be imported, and
    prints the reason.
    """
    from skillpm.ops.project.foreign_lock import import_lock

    place = Placing.of(placing)
    context = cache(place.context)
    foreign = import_lock(file, lambda: context().host)
    installed = _install(context(), foreign, place) if installing and foreign.taken else None
    if not print_json(foreign, installation=installed):
        _print(foreign, installed)
    if foreign.left:
        exit_with(CheckError.exit_code)


def _install(context: Context, foreign: ForeignLock, place: Placing) -> Installation:
    from skillpm.ops.project.asked import Asked
    from skillpm.ops.project.install import install

    asked = Asked.read([item.requirement for item in foreign.taken])
    return install(context, asked, place.options(adding=True))


def _print(foreign: ForeignLock, installed: Installation | None) -> None:
    if installed is not None:
        render(installed)
    elif foreign.taken:
        rows = [(item.name, item.requirement, "yes" if item.pinned else "no") for item in foreign.taken]
        table(("skill", "requirement", "pinned"), rows)
    for item in foreign.left:
        remedy = f"; {item.remedy}" if item.remedy else ""
        note(f"not imported: {item.name}: {item.reason}{remedy}")
    count = f"{len(foreign.taken)} of {len(foreign.taken) + len(foreign.left)} entries of {foreign.form}"
    if installed is None:
        hint = "; `--install` installs them" if foreign.taken else ""
        note(f"{count} can be imported{hint}")

"""``skillpm config``."""

from __future__ import annotations

import click

from skillpm.cli.context import command_settings
from skillpm.cli.options import user_option
from skillpm.cli.output import cell, json_option, note, print_json, table
from skillpm.errors import UsageError
from skillpm.model.name import did_you_mean


@click.command("config", epilog="Example: skillpm config --json")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@user_option("Show the settings for your home folder.")
@json_option
def command(names: tuple[str, ...]) -> None:
    """Show every setting, or these, with its origin: a flag, the environment, skillpm.yaml, config.yaml or the default.

    To change a setting, write it into one of the two files.
    """
    settings = command_settings()
    known, files = {item.name: item for item in settings.settings()}, settings.files()
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, "run `skillpm config` for all, `skillpm config NAME` for one")
            raise UsageError(f"there is no setting `{name[:80]}`", hint=hint)
    stated = [known[name] for name in names or known]
    if print_json({"settings": stated, "files": [{"path": path, "exists": there} for path, there in files.items()]}):
        return
    table(("setting", "value", "from"), [(item.name, cell(item.value), item.origin) for item in stated])
    for path, there in files.items():
        note(f"{path}{'' if there else ' (not there)'}")

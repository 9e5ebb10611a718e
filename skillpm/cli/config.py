"""``skillpm config``."""

from __future__ import annotations

import click

from skillpm.cli.context import command_settings
from skillpm.cli.options import user_option
from skillpm.cli.output import cell, json_option, note, print_json, table


@click.command("config", epilog="Example: skillpm config --json")
@user_option("Show the settings for your home folder.")
@json_option
def command() -> None:
    """Show every setting and its origin: a flag, the environment, skillpm.yaml, config.yaml or the default."""
    settings = command_settings()
    stated, files = settings.settings(), settings.files()
    if print_json({"settings": stated, "files": [{"path": path, "exists": there} for path, there in files.items()]}):
        return
    table(("setting", "value", "from"), [(item.name, cell(item.value), item.origin) for item in stated])
    for path, there in files.items():
        note(f"{path}{'' if there else ' (not there)'}")
